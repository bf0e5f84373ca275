"""Data sets, decoding, the stream of pairs, augmentation, and the demo set."""
