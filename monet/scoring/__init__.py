"""Scores: features, Fréchet distance, memorization, and how far they may be off."""
