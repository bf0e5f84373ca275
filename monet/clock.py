"""The deadline of a process, the horizon of a run, and the timekeeper that training asks for both.

The *deadline* belongs to a process: when it must be over, painting and writing included. The *horizon* belongs to a
run: where the learning-rate decay ends, in pairs, in training time, or in both. *Progress* is how much of the horizon
is behind: 0 at the start, 1 where the decay has landed.
"""

from __future__ import annotations

import logging
import re
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

Clock = Callable[[], float]
"""A function that returns seconds since some fixed moment and never goes back, as `time.monotonic` does."""

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")


def parse_duration(text: str) -> float:
    """Reads a duration such as `5h`, `45m`, `90s` or `1h30m`.

    Returns:
        Seconds, above 0.

    Raises:
        ValueError: the text is not a duration, or is zero.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = sum(_UNITS[unit] * float(number) for unit, number in match.groupdict(default="0").items()) if match else 0
    if seconds <= 0:
        raise ValueError(f"{text!r} is not a duration: write it as 5h, 45m, 90s or 1h30m")
    return seconds


def format_duration(seconds: float) -> str:
    """Writes seconds the way `parse_duration` reads them, to the second: `1h30m`, `2m05s`, `40s`."""
    total = max(0, round(seconds))
    hours, minutes, rest = total // 3600, total % 3600 // 60, total % 60
    if hours:
        return f"{hours}h{minutes:02d}m" + (f"{rest:02d}s" if rest else "")
    if minutes:
        return f"{minutes}m" + (f"{rest:02d}s" if rest else "")
    return f"{rest}s"


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
        return min(1.0, max(shares))


class Pace:
    """How fast steps are now, against how fast they were when the work after training was last measured.

    Steps are gathered into windows of `window` seconds, so that a device that works asynchronously, or one slow step,
    does not look like a slow machine. The first window holds the warm-up and is left out.
    """

    def __init__(self, window: float = 2.0) -> None:
        self._window = window
        self._steps = 0
        self._seconds = 0.0
        self._warm = False
        self._baseline: float | None = None
        self._recent: deque[float] = deque(maxlen=5)
        self._longest_lately: deque[float] = deque(maxlen=5)

    def record(self, seconds: float) -> None:
        """Notes the duration of one step."""
        self._longest_lately.append(seconds)
        self._steps += 1
        self._seconds += seconds
        if self._seconds < self._window:
            return
        mean = self._seconds / self._steps
        self._steps, self._seconds = 0, 0.0
        if not self._warm:
            self._warm = True
            return
        self._recent.append(mean)
        if self._baseline is None and len(self._recent) >= 3:
            self._baseline = statistics.median(self._recent)

    def rebase(self) -> None:
        """The work after training has just been measured: from here on, `slowdown` compares with the present pace."""
        if self._recent:
            self._baseline = statistics.median(self._recent)

    @property
    def slowdown(self) -> float:
        """The present seconds a step over those at the last measurement; never below 1."""
        if self._baseline is None or self._baseline <= 0:
            return 1.0
        return max(1.0, statistics.median(self._recent) / self._baseline)

    @property
    def next_step(self) -> float:
        """Seconds that the next step may take: the longest of the last few."""
        return max(self._longest_lately, default=0.0)


class Reserve:
    """The time that must be left when training stops: what the work after it takes, and some slack.

    The slack is half the work plus 20 s, so that a machine that slows down while it paints is still in time. Where 5 %
    of the budget is more than that, the slack grows to what a machine needs that falls to half its speed at the very
    first photo (the work once more, plus 20 s), and at most to 4.5 % of the budget.

    Args:
        measure: a timed probe; returns the seconds that the work after training takes on this machine now.
        budget: seconds of the whole process.
    """

    def __init__(self, measure: Callable[[], float], budget: float) -> None:
        self._measure = measure
        self._budget = budget
        self.work = measure()

    def measure_again(self) -> None:
        """Probes again: the machine may be faster or slower than it was."""
        self.work = self._measure()

    def seconds(self, slowdown: float = 1.0) -> float:
        """The reserve on a machine that is `slowdown` times slower than at the last measurement."""
        work = self.work * slowdown
        return work + max(0.5 * work + 20.0, min(work + 20.0, 0.045 * self._budget))


class Timekeeper:
    """Tells training how far it is, and when to stop.

    Args:
        horizon: where the decay ends. It may have no term at all if there is a deadline: then, as where it has pairs
            only, `deadline_is_horizon` makes the training time that the deadline allows its time term.
        clock: tells the time.
        deadline: when this process must be over, if it has a budget.
        reserve: what must be left of it when training stops.
        deadline_is_horizon: the run has no time horizon of its own yet.
        seconds: training time of the earlier processes of this run.
        progress: progress at the end of the earlier processes.
    """

    def __init__(
        self,
        horizon: Horizon,
        *,
        clock: Clock,
        deadline: Deadline | None = None,
        reserve: Reserve | None = None,
        deadline_is_horizon: bool = False,
        seconds: float = 0.0,
        progress: float = 0.0,
    ) -> None:
        if deadline is None and horizon == Horizon():
            raise ValueError("a horizon without terms needs a deadline")
        self._horizon = horizon
        self._clock = clock
        self._deadline = deadline
        self._reserve = reserve
        self._deadline_is_horizon = deadline_is_horizon
        self._base = seconds
        self._progress = progress
        self._began = clock()
        self._checkups = [share for share in (0.5, 0.85) if share > progress]
        self._second_looks = 3
        self.pace = Pace()
        """How fast steps are; training records each one."""

    @property
    def seconds(self) -> float:
        """Training time of the run so far."""
        return self._base + self._clock() - self._began

    def allowed(self) -> float:
        """Seconds that this process may still train before it eats into the reserve; infinite without a deadline."""
        if self._deadline is None:
            return float("inf")
        reserved = self._reserve.seconds(self.pace.slowdown) if self._reserve else 0.0
        return self._deadline.remaining() - reserved

    @property
    def horizon(self) -> Horizon:
        """The horizon as it stands; one that follows the deadline moves with the speed of the machine."""
        if not self._deadline_is_horizon:
            return self._horizon
        return Horizon(self._horizon.pairs, self.seconds + max(0.0, self.allowed()))

    def progress(self, pairs: int) -> float:
        """How much of the horizon is behind after `pairs` pairs, from 0 to 1; never decreases."""
        self._progress = max(self._progress, self.horizon.progress(pairs, self.seconds))
        return self._progress

    def time_left(self, pairs: int) -> float:
        """Seconds of training still ahead in this process, as far as is known now."""
        progress = self.progress(pairs)
        by_horizon = self.seconds * (1 - progress) / progress if progress > 0 else float("inf")
        return max(0.0, self.allowed() if self._deadline_is_horizon else min(by_horizon, self.allowed()))

    def should_stop(self, pairs: int) -> bool:
        """True when the horizon is reached, or when one more step would eat into the reserve."""
        if self._horizon.progress(pairs, self.seconds) >= 1.0:
            return True
        if self._reserve and self._checkups and self.progress(pairs) >= self._checkups[0]:
            self._checkups.pop(0)
            self._check_reserve()
        if self.allowed() > self.pace.next_step:
            return False
        if self._reserve and self._second_looks > 0:
            self._second_looks -= 1
            self._check_reserve()
        return self.allowed() <= self.pace.next_step

    def land(self, pairs: int) -> bool:
        """Ends training: a horizon that followed the deadline is reached now, and stays where it is.

        Returns:
            True where the learning-rate decay is finished; False where the deadline came first.
        """
        if self._deadline_is_horizon:
            self._horizon = Horizon(self._horizon.pairs, self.seconds)
            self._deadline_is_horizon = False
        return self.progress(pairs) >= 1.0

    def _check_reserve(self) -> None:
        """Measures the work after training again: the machine may be faster or slower than it was."""
        assert self._reserve is not None
        self._reserve.measure_again()
        self.pace.rebase()
        logger.info("what follows training now takes about %s", format_duration(self._reserve.work))
