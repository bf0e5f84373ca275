"""When a process must be over, and where the learning-rate decay of a run ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_ROUNDING = 1e-9
"""Seconds of several processes add up to a horizon but for so small a share of it."""

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

    def remaining(self) -> float:
        """Seconds left; below 0 when the process is late."""
        return self.started + self.budget - self.clock()


@dataclass(frozen=True)
class Horizon:
    """Where the learning-rate decay ends: at the first of its terms to be reached. At least one of them is set."""

    pairs: int | None = None
    """Pairs of the whole run, over all its processes."""
    seconds: float | None = None
    """Training time of the whole run, over all its processes."""

    def progress(self, pairs: int, seconds: float) -> float:
        """The larger share of the horizon that is behind, from 0 to 1."""
        shares = [0.0]
        if self.pairs is not None:
            shares.append(pairs / self.pairs)
        if self.seconds is not None:
            shares.append(seconds / self.seconds if self.seconds > 0 else 1.0)
        return max(shares) if max(shares) < 1.0 - _ROUNDING else 1.0
