"""Checkpoints at work, apart from the run that they come from."""
