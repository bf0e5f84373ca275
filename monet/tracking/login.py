"""Whether a tracker's server lets the run in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from monet.tracking.tracker import Reporter, RunInfo

_SECONDS = 15.0
"""Seconds that a login may take."""
_FOLDER = Path(__file__).with_name("logins")


def logged_in(info: RunInfo, reporter: Reporter) -> bool:
    """Returns whether a tracker can work online; where its credentials are of no use, it says so.

    Args:
        info: of the run; knows the tracker, and whether there are credentials.
        reporter: tells the user.
    """
    problem = _problem(_FOLDER / f"try_{info.name}.py") if info.online else None
    if problem:
        reporter.tell(f"cannot log in ({problem}): tracking offline")
    return info.online and problem is None


def _problem(program: Path) -> str | None:
    """Returns why a login is refused, if it is.

    Found out in a process of its own: a login that hangs cannot be broken off, and one that failed leaves a library
    unfit for offline work.
    """
    try:
        tried = subprocess.run(
            [sys.executable, program],
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
