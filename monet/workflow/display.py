"""Progress for the person who waits. The methods do nothing here; a command overrides them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monet.training.events import StepEvent


class Display:
    """Receives the progress of a workflow."""

    def begin(self, stage: str, total: int, unit: str) -> None:
        """A stage of known length begins: its name, how many units it has, and what they are called."""

    def advance(self, count: int = 1) -> None:
        """So many more units of the stage are done."""

    def step(self, event: StepEvent) -> None:
        """A training step was taken."""

    def end(self, done: bool = True) -> None:
        """The stage is over: done, or broken off."""


class Interrupts:
    """How a workflow learns that it is to end. These never come; a command hears signals."""

    received: int | None = None
    """The signal that came, if one did."""

    def begin_run(self) -> None:
        """From here on there is something to save, or to say."""

    def deferred(self) -> contextlib.AbstractContextManager[Callable[[], bool]]:
        """While it is open, a signal does not raise `Interrupted` but makes the function true."""
        return contextlib.nullcontext(lambda: self.received is not None)
