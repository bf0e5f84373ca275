"""The commands: `python -m pipelines.<name>`. Each parses, calls, prints, and returns an exit code."""

import time

STARTED = time.monotonic()
"""When this process began: a budget counts from here, so that imports are in it."""

import sys  # noqa: E402

if sys.argv[:1] == ["-m"]:  # Python is on its way to a command, which has not begun: no program that imports this
    from pipelines._start import prepare_process

    prepare_process()
