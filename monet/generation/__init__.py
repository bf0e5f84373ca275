"""The painting engine: photos through a generator into an archive."""
