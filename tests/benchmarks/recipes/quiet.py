"""Whether the machine was quiet: processor time that others took, and the machine's own speed before and after."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass

import psutil
import torch

from monet.machine import available_processors
from tests.benchmarks.measure import ceiling

_TAKEN_BY_OTHERS_AT_MOST = 0.03
"""Share of the processors' time: the system's own housekeeping stays below."""
_SLOWER_AT_MOST = 1.15
"""Ratio of the machine's speed before and after."""


@dataclass(frozen=True)
class Company:
    """What else was at work during a measurement."""

    share: float
    """Of the processors' time, taken by other programs."""
    before: float
    """FLOP/s of the best convolution before it."""
    after: float
    """The same after it."""

    @property
    def quiet(self) -> bool:
        """Nothing else computed, and the machine was as fast at the end as at the beginning."""
        ratio = max(self.before, self.after) / min(self.before, self.after)
        return self.share <= _TAKEN_BY_OTHERS_AT_MOST and ratio <= _SLOWER_AT_MOST


UNKNOWN = Company(math.nan, math.nan, math.nan)
"""Of a training that was not observed from its beginning to its end: not quiet, as far as is known."""


class Observer:
    """Observes the machine from its construction on."""

    def __init__(self) -> None:
        self._before = speed()
        self._busy, self._own, self._begun = _busy(), _own(), time.monotonic()

    def company(self) -> Company:
        """Returns what else was at work until now. Processes that this one started, and that ended, are its own."""
        busy, own = _busy() - self._busy, _own() - self._own
        passed = (time.monotonic() - self._begun) * available_processors()
        return Company(max(0.0, busy - own) / passed, self._before, speed())


def speed() -> float:
    """Returns the machine's best rate, in FLOP/s."""
    return ceiling(torch.device("cpu"), torch.bfloat16)


def _busy() -> float:
    """Returns the seconds that the machine's processors have computed, or were taken by other machines."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _own() -> float:
    """Returns the seconds that this process and those that it started, and that ended, have computed."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
