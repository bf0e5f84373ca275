"""Checkpoints ranked by their scores."""
