"""Progress for the person who waits. The methods do nothing here; a command overrides them."""

from __future__ import annotations


class Display:
    """Receives the progress of long work, a stage at a time."""

    def begin(self, stage: str, total: int, unit: str) -> None:
        """Begins a stage of known length: its name, how many units it has, and what they are called."""

    def advance(self, count: int = 1) -> None:
        """Counts units of the stage that are done."""

    def update(self, done: float, note: str, seconds_left: float) -> None:
        """Tells how far a stage is.

        Args:
            done: share of the stage, 0…1.
            note: figures to show beside it.
            seconds_left: time until it ends.
        """

    def end(self, done: bool = True) -> None:
        """Ends the stage, which is done or broken off."""
