"""Requests to stop, such as Ctrl-C."""

from __future__ import annotations

import contextlib
from collections.abc import Callable


class Interrupts:
    """Tells whether the process was asked to stop. Here it never is; a command listens to signals."""

    received: int | None = None
    """The signal that came, if one did."""

    def begin_run(self) -> None:
        """Tells that from here on there is something to save, or to say."""

    def deferred(self) -> contextlib.AbstractContextManager[Callable[[], bool]]:
        """Returns a context in which a signal does not raise `Interrupted` but makes the function true."""
        return contextlib.nullcontext(lambda: self.received is not None)
