"""When a process must be over."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
"""A function that returns seconds since some fixed moment and never goes back, as `time.monotonic` does."""


@dataclass(frozen=True)
class Deadline:
    """When a process must be over."""

    clock: Clock
    """Tells the time."""
    started: float
    """When the process began, on that clock."""
    budget: float
    """Seconds that the process may take, all in all."""

    @classmethod
    def never(cls, clock: Clock) -> Deadline:
        """Returns the deadline of a process that may take any time."""
        return cls(clock, clock(), math.inf)

    def remaining(self) -> float:
        """Returns the seconds left; below 0 when the process is late."""
        return self.started + self.budget - self.clock()
