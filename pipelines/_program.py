"""How the commands of this process were called."""

NAME = "python -m pipelines."
"""Text before the name of a command: `monet ` where the console script started it."""
