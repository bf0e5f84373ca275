"""The training engine: the paper's step, and the loop around it."""
