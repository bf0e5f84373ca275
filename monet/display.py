"""Progress for the person who waits. The methods do nothing here; a command overrides them."""

from __future__ import annotations


class Display:
    """Receives the progress of long work, a stage at a time."""

    def begin(self, stage: str, total: int, unit: str) -> None:
        """A stage of known length begins: its name, how many units it has, and what they are called."""

    def advance(self, count: int = 1) -> None:
        """So many more units of the stage are done."""

    def update(self, done: float, note: str, seconds_left: float) -> None:
        """Tells how far a stage is.

        Args:
            done: share of the stage, 0…1.
            note: figures to show beside it.
            seconds_left: time until it ends.
        """

    def end(self, done: bool = True) -> None:
        """The stage is over: done, or broken off."""
