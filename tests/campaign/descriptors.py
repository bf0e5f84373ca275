"""What a process may find as its stdin, stdout or stderr."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from pathlib import Path
from typing import Literal, get_args

StreamKind = Literal[
    "null",
    "file",
    "pipe",
    "closed",
    "full",
    "vanished",
    "vanishes",
    "read-only",
    "pty",
    "hang-up",
]
"""`null`: /dev/null. `file`: a file, read afterwards. `pipe`: one that is read. `closed`: no such descriptor. `full`:
/dev/full. `vanished`: a pipe that nobody reads. `vanishes`: one whose reader goes away after the first bytes.
`read-only`: a descriptor that cannot be written to. `pty`: a terminal. `hang-up`: a terminal that goes away after the
first bytes."""
KINDS: tuple[StreamKind, ...] = get_args(StreamKind)


class Stream:
    """One end is the child's; the other one, where there is one, is read as the child runs.

    Args:
        kind: what it is.
        file: takes what is written, for the kind `file`.
    """

    def __init__(self, kind: StreamKind, file: Path) -> None:
        self.kind = kind
        self.child_end: int | None = None
        self._file = file
        self._reader: int | None = None
        self._read = b""
        self._open()

    def _open(self) -> None:
        if self.kind == "file":
            self.child_end = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        elif self.kind in ("null", "full"):
            self.child_end = os.open(f"/dev/{self.kind}", os.O_RDWR)
        elif self.kind == "read-only":
            self.child_end = os.open("/dev/null", os.O_RDONLY)
        elif self.kind in ("pipe", "vanished", "vanishes"):
            self._reader, self.child_end = os.pipe()
            if self.kind == "vanished":
                self._hang_up()
        elif self.kind in ("pty", "hang-up"):
            self._reader, self.child_end = pty.openpty()
            fcntl.ioctl(self.child_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        if self._reader is not None:
            os.set_blocking(self._reader, False)

    def started(self) -> None:
        """The child has its end."""
        if self.child_end is not None:
            os.close(self.child_end)
            self.child_end = None

    def move(self) -> None:
        """Reads what there is to read."""
        while self._reader is not None:
            try:
                data = os.read(self._reader, 65536)
            except BlockingIOError:
                return
            except OSError:  # a terminal that nobody holds open any more
                data = b""
            self._read += data
            if not data or self.kind in ("vanishes", "hang-up"):
                self._hang_up()

    def close(self) -> None:
        """Closes what is open here."""
        self._hang_up()

    def text(self) -> str:
        """What was written so far."""
        data = self._file.read_bytes() if self.kind == "file" and self._file.exists() else self._read
        return data.decode(errors="replace")

    def _hang_up(self) -> None:
        if self._reader is not None:
            os.close(self._reader)
            self._reader = None
