"""Commands that a person can copy into a terminal."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence


def command_line(words: Sequence[str]) -> str:
    """Words as one command, quoted as this system's shell wants it."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
