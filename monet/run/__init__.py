"""A run: from the request through training to a submission."""
