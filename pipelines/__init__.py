"""The commands: `python -m pipelines.<name>`. Each parses, calls, prints, and returns an exit code."""

import time

STARTED = time.monotonic()
"""When this process began: a budget counts from here, so that imports are in it."""
