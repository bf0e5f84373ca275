"""Photo to painting: train an unpaired translator against the clock, paint every photo, know the score."""

__version__ = "0.1.0"
