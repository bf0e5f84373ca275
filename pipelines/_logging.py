"""The log of a command: lines on stderr."""

from __future__ import annotations

import logging
import warnings


class LineFormatter(logging.Formatter):
    """Formats a record as a line that begins with its level where something is wrong: `warning: …`.

    Args:
        prefix: text before every line.
    """

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self._prefix = prefix

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, and the traceback where the record has one."""
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"{self._prefix}{level}{super().format(record)}"


def set_up_logging(debug: bool) -> None:
    """Logs what the library says to stderr.

    Args:
        debug: log debug messages, too.
    """
    warnings.filterwarnings("ignore", module="PIL")  # remarks about damaged files, which are reported by name
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    root = logging.getLogger("monet")
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    root.propagate = False
