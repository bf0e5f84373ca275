"""Whether a tracker's server lets the run in."""

from __future__ import annotations

import subprocess
import sys

from monet.tracking.tracker import Reporter, RunInfo

_SECONDS = 15.0
"""Seconds that a login may take."""


def logged_in(opening: RunInfo, voice: Reporter, attempt: str) -> bool:
    """Whether a tracker can work online; where its credentials are of no use, it says so.

    Args:
        opening: knows whether there are credentials.
        voice: how to say it.
        attempt: Python that logs in, and raises where it cannot.
    """
    problem = _problem(attempt) if opening.online else None
    if problem:
        voice.tell(f"cannot log in ({problem}): tracking offline")
    return opening.online and problem is None


def _problem(attempt: str) -> str | None:
    """Returns why a login is refused, if it is.

    Found out in a process of its own: a login that hangs cannot be broken off, and one that failed leaves a library
    unfit for offline work.
    """
    try:
        tried = subprocess.run(
            [sys.executable, "-c", attempt],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {_SECONDS:.0f} s"
    lines = [line.strip() for line in tried.stderr.splitlines() if line.strip()]
    return (lines[-1][:200] if lines else "no reason given") if tried.returncode else None
