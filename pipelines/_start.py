"""Preparation of a process before its modules are imported."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

ENDING_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]  # Windows has no SIGHUP
"""Signals that end a command, after saving."""


def prepare_process() -> None:
    """Opens the standard streams that are closed, and lets a signal end the process in silence."""
    _fill_standard_streams()
    listen(_end)


def listen(receive: signal._HANDLER) -> None:
    """Sets what the ending signals do, but for a hang-up that is ignored, as under nohup."""
    for number in ENDING_SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, receive)


def _fill_standard_streams() -> None:
    """Opens closed standard streams on the null device: other files would take their numbers, and get their text."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _end(number: int, _: FrameType | None) -> None:
    """Ends the process, which has nothing yet to save."""
    os._exit(128 + number)
