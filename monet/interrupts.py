"""Requests to stop, such as Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class Interrupts:
    """Tells whether the process was asked to stop. Here it never is."""

    received: int | None = None
    """The signal that came, if one did."""

    def begin_run(self) -> None:
        """Tells that from here on there is something to save, or to say."""

    def deferred(self) -> contextlib.AbstractContextManager[Callable[[], bool]]:
        """Returns a context in which a signal does not raise `Interrupted` but makes the function true."""
        return contextlib.nullcontext(lambda: self.received is not None)


class CtrlC(Interrupts):
    """Lets a training that is called from Python finish its step and be saved at Ctrl-C; a second one ends it at once.

    Outside of trainings Ctrl-C is what it was, as it is in threads other than the main one, and where the caller
    handles it.
    """

    @contextlib.contextmanager
    def deferred(self) -> Iterator[Callable[[], bool]]:
        """As `Interrupts.deferred`."""
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield lambda: False
            return
        self.received = None
        signal.signal(signal.SIGINT, self._receive)
        try:
            yield lambda: self.received is not None
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            signal.default_int_handler(number, frame)
        self.received = number
