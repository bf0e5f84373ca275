"""The standard streams of a command: output that nobody can read is no reason to lose a run."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Stream:
    """A text stream that is written to as long as that works, and then no longer, without a word.

    Args:
        stream: what it writes to; None where the process was started without it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream if stream is not None else io.StringIO()
        self._closed = stream is None
        self.failure = ""
        """Why something that was to be written is lost; empty as long as nothing is."""

    def write(self, text: str) -> int:
        """Writes; returns the number of characters, lost or not."""
        if self._closed:
            self.failure = "it is closed"
        else:
            self._attempt(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes lines, which bring their line ends with them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hands what was written to the system."""
        self._attempt(lambda: self._stream.flush())

    def write_at_once(self, text: str) -> None:
        """Writes from a signal handler, where the stream itself may be in the middle of another write."""
        try:
            number = self._stream.fileno()
        except (OSError, ValueError):  # it is no file
            self.write(text)
            return
        with contextlib.suppress(OSError):
            os.write(number, text.encode(errors="replace"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, work: Callable[[], object]) -> None:
        if self.failure:
            return
        try:
            work()
        except (OSError, ValueError) as error:  # ValueError: someone has closed it
            self.failure = getattr(error, "strerror", None) or str(error)


@contextlib.contextmanager
def standard_streams() -> Iterator[tuple[Stream, Stream]]:
    """While it is open, `sys.stdout` and `sys.stderr` are `Stream`s, which are flushed at the end."""
    earlier = sys.stdout, sys.stderr
    for stream in earlier:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without × is no reason to fail
    out, err = Stream(sys.stdout), Stream(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = earlier
