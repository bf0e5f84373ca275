"""The folder of a run: its files, its checkpoints, and one process at a time."""
