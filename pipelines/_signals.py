"""Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from monet.errors import Interrupted
from monet.files import remove_unfinished
from monet.interrupts import Interrupts
from pipelines._processes import is_first
from pipelines._start import listen
from pipelines._streams import Stream

_ECHO = 1.0
"""Seconds in which a second signal is the first one again, as a terminal and torchrun both send it on Ctrl-C."""
_SOON = 0.05
"""Seconds after which a signal that came at a bad moment comes again."""


class Signals(Interrupts):
    """Signals that stop a command: at once as `Interrupted`, or, while deferred, after the current step.
    A second signal ends the process where it stands."""

    def __init__(self) -> None:
        self._deferred = self._over = self._in_run = False
        self._received_at = 0.0

    def begin(self) -> None:
        """Listens, for a command that begins."""
        self._deferred = self._over = self._in_run = False
        self.received = None
        listen(self._receive)
        sys.unraisablehook = self._unraisable

    def begin_run(self) -> None:
        """Begins a run: from here on there is something to save, or to say."""
        self._in_run = True

    def end(self) -> None:
        """Ends the command, which has its exit code: from here on signals change nothing."""
        self._over = True

    @contextlib.contextmanager
    def deferred(self) -> Iterator[Callable[[], bool]]:
        """While open, the first signal makes the function true; a second one ends the command at once."""
        self._deferred = True
        try:
            yield lambda: self.received is not None
        finally:
            self._deferred = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._over or (self.received is not None and time.monotonic() - self._received_at < _ECHO):
            return
        importing = not self._deferred and _is_importing(frame)
        if self.received is not None or (importing and not self._in_run):
            _end_at_once(number)
        if importing:
            _send_again(number)
            return
        self.received, self._received_at = number, time.monotonic()
        if not self._deferred:
            raise Interrupted(number, "stopped")
        _say("\nstopping after this step; once more to stop at once\n")

    def _unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        """Catches errors in objects that Python tidies up, which are shown and lost: a signal that came just then comes
        again."""
        if _is_half_an_event_loop(lost):
            return
        if not isinstance(lost.exc_value, Interrupted):
            sys.__unraisablehook__(lost)
            return
        self.received = None
        _send_again(lost.exc_value.signal_number)


SIGNALS = Signals()
"""Those of this process."""


def _is_importing(frame: FrameType | None) -> bool:
    """Returns whether an import is under way. It cannot be broken off by an error: libraries that are half there raise
    others."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _is_half_an_event_loop(lost: sys.UnraisableHookArgs) -> bool:
    """Returns whether an event loop that could not begin, whose error is told, fails once more as it is deleted."""
    return getattr(lost.object, "__qualname__", "") == "BaseEventLoop.__del__" and lost.exc_type is AttributeError


def _send_again(number: int) -> None:
    """Sends this process a signal that came at a bad moment once more."""
    again = threading.Timer(_SOON, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _end_at_once(number: int) -> NoReturn:
    """Ends the process where it stands, without files that are half written and without the processes it started."""
    remove_unfinished()
    for process in multiprocessing.active_children():
        process.kill()
    interrupted = Interrupted(number)
    _say(f"\n{interrupted.signal_name}: stopped at once\n")
    os._exit(interrupted.exit_code)


def _say(text: str) -> None:
    if is_first() and isinstance(sys.stderr, Stream):
        sys.stderr.write_at_once(text)
