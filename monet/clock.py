"""The deadline of a process, the horizon of a run, and the timekeeper that training asks for both.

The *deadline* belongs to a process: when it must be over, painting and writing included. The *horizon* belongs to a
run: where the learning-rate decay ends, in pairs, in training time, or in both. *Progress* is how much of the horizon
is behind: 0 at the start, 1 where the decay has landed.
"""

from __future__ import annotations

import logging
import math
import re
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

Clock = Callable[[], float]
"""A function that returns seconds since some fixed moment and never goes back, as `time.monotonic` does."""

_HICCUP = 2.5
"""So many times slower than usual is beyond what the reserve can bear anyway."""
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
    """How many seconds a step takes now.

    Steps are gathered into windows of `window` seconds, so that a device that works asynchronously, or one slow step,
    does not look like a slow machine. The first window holds the warm-up and is left out.
    """

    def __init__(self, window: float = 2.0) -> None:
        self._window = window
        self._steps, self._seconds = 0, 0.0
        self._full_windows = 0
        self._recent: deque[tuple[float, float]] = deque(maxlen=5)
        self._latest: deque[float] = deque(maxlen=5)

    def record(self, seconds: float) -> None:
        """Notes the duration of one step."""
        self._latest.append(seconds)
        self._steps += 1
        self._seconds += seconds
        if self._seconds >= self._window:
            self._full_windows += 1
            if self._full_windows > 1:
                self._recent.append((self._seconds / self._steps, self._seconds))
            self._steps, self._seconds = 0, 0.0

    def restart(self) -> None:
        """Forgets the steps so far."""
        self._steps, self._seconds = 0, 0.0
        self._full_windows = min(self._full_windows, 1)
        self._recent.clear()

    @property
    def seconds_per_step(self) -> float | None:
        """The median of the windows of the last ten seconds, and of two at least; None until three of them are full."""
        if len(self._recent) < 3:
            return None
        means: list[float] = []
        covered = 0.0
        for mean, seconds in reversed(self._recent):
            if len(means) >= 2 and covered >= 10.0:
                break
            means.append(mean)
            covered += seconds
        return statistics.median(means)

    @property
    def latest(self) -> float:
        """Seconds a step in the last full window; 0 until there is one."""
        return self._recent[-1][0] if self._recent else 0.0

    @property
    def next_step(self) -> float:
        """Seconds that the next step may take: the longest of the last few."""
        return max(self._latest, default=0.0)


class Reserve:
    """The time that must be left when training stops: what the work after it takes, and some slack.

    The work is measured by a timed probe. Between two probes the pace of training tells when the machine becomes
    slower: the work grows with the seconds a step takes, compared with the fastest pace so far.

    The slack is half the work plus 20 s, for a machine that slows down while it paints. Where 5 % of the budget is more
    than that, the slack grows to what a machine needs that falls to half its speed at the very first photo (the work
    once more, plus 20 s), and at most to 4.5 % of the budget.

    Args:
        measure: the probe; returns the seconds that the work after training takes on this machine now.
        budget: seconds of the whole process.
        pace: of the training steps.
    """

    def __init__(self, measure: Callable[[], float], budget: float, pace: Pace) -> None:
        self._measure = measure
        self._budget = budget
        self._pace = pace
        self._fastest = math.inf
        self._probes = [measure()]

    def measure_again(self) -> None:
        """Probes once more. Where that takes longer than the last time, the pace that belongs to it is learned anew;
        else the fastest pace so far stays what later steps are compared with."""
        self._slower(self._pace.seconds_per_step)
        self._probes.append(self._measure())
        self._pace.restart()
        if self.measured > 1.2 * self._probes[-2]:
            self._fastest = math.inf
        if self.measured > 0:
            logger.info("what follows training now takes about %s", format_duration(self.measured))

    @property
    def measured(self) -> float:
        """Seconds that the work after training takes, by the last probe."""
        return self._probes[-1]

    @property
    def usual(self) -> float:
        """The median of all probes."""
        return statistics.median_low(self._probes)

    @property
    def work(self) -> float:
        """Seconds that the work after training takes at the present pace."""
        return self.measured * self._slower(self._pace.seconds_per_step)

    @property
    def work_at_worst(self) -> float:
        """The same where the last few seconds already tell of a slower machine."""
        return max(self.work, self.measured * self._slower(self._pace.latest))

    def seconds(self) -> float:
        """The reserve at the present pace."""
        return self.seconds_for(self.work)

    def seconds_for(self, work: float) -> float:
        """The reserve where the work takes so many seconds."""
        return work + max(0.5 * work + 20.0, min(work + 20.0, 0.045 * self._budget))

    def _slower(self, pace: float | None) -> float:
        """How much slower steps are than they were at best, from 1."""
        if (known := self._pace.seconds_per_step) is None or not pace:
            return 1.0
        self._fastest = min(self._fastest, known)
        return max(1.0, pace / self._fastest)


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
        pace: of the training steps; the reserve's.
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
        pace: Pace | None = None,
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
        self._began = self._asked = clock()
        self._time_ahead = 1.0
        self._checkups = [share for share in (0.3, 0.6, 0.85) if share > progress]
        self._probed_at, self._probe_time = clock(), 0.0
        self._waiting_since: float | None = None
        self._landing_ends: float | None = None
        self.pace = pace or Pace()
        """How fast steps are; training records each one."""

    @property
    def seconds(self) -> float:
        """Training time of the run so far."""
        return self._base + self._clock() - self._began

    def allowed(self) -> float:
        """Seconds that this process may still train before it eats into the reserve; infinite without a deadline."""
        if self._deadline is None:
            return math.inf
        if self._landing_ends is not None:
            work = self._reserve.work if self._reserve else 0.0
            return min(self._landing_ends - self._clock(), self._room_to_land(work))
        return self._deadline.remaining() - (self._reserve.seconds() if self._reserve else 0.0)

    @property
    def horizon(self) -> Horizon:
        """The horizon as it stands; one that follows the deadline moves with the speed of the machine."""
        if not self._deadline_is_horizon:
            return self._horizon
        return Horizon(self._horizon.pairs, self.seconds + max(0.0, self.allowed()))

    def progress(self, pairs: int) -> float:
        """How much of the horizon is behind after `pairs` pairs, from 0 to 1; never decreases."""
        reached = self._horizon.progress(pairs, self.seconds)
        if self._deadline_is_horizon:
            reached = max(reached, 1.0 - self._share_of_time_ahead())
        self._progress = max(self._progress, reached)
        return self._progress

    def time_left(self, pairs: int) -> float:
        """Seconds of training still ahead in this process, as far as is known now."""
        share = self._horizon.progress(pairs, self.seconds)  # a term that the deadline sets is in `allowed`
        by_horizon = self.seconds * (1 - share) / share if share > 0 else math.inf
        return max(0.0, min(by_horizon, self.allowed()))

    def should_stop(self, pairs: int, pause: float = 0.0) -> bool:
        """True when the horizon is reached, or when one more step would eat into the reserve.

        Args:
            pairs: pairs seen.
            pause: seconds that are known to follow the next step, such as for a save.
        """
        needed = self.pace.next_step + pause
        if self._horizon.progress(pairs, self.seconds) >= 1.0:
            return True
        if self._checkups and self._progress >= self._checkups[0]:
            self._checkups.pop(0)
            self._probe()
        if self.allowed() <= needed + 2 * self._probe_time and self._worth_a_look():
            self._probe()
        if self.allowed() > needed:
            self._waiting_since = None
            return False
        return not self._waits() and not self._begins_landing(needed)

    def land(self, pairs: int) -> bool:
        """Ends training: a horizon that followed the deadline is reached now, and stays where it is.

        Returns:
            True where the learning-rate decay is finished; False where the deadline came first.
        """
        if self._deadline_is_horizon:
            self._horizon = Horizon(self._horizon.pairs, self.seconds)
            self._deadline_is_horizon = False
        return self.progress(pairs) >= 1.0

    def _probe(self) -> None:
        if self._reserve:
            begun = self._clock()
            self._reserve.measure_again()
            self._probed_at = self._clock()
            self._probe_time = self._probed_at - begun

    def _worth_a_look(self) -> bool:
        """The last probe is some time ago, or the pace tells another story. No training ends by an old measurement."""
        if self._reserve is None or self._landing_ends is not None:
            return False
        patience = 10.0 if self._waiting_since is not None else 10 * (1 + self._probe_time)
        return self._clock() - self._probed_at > patience or self._reserve.work > 1.1 * self._reserve.measured

    def _waits(self) -> bool:
        """Goes on for up to half a minute where the machine is suddenly far slower than the slack is meant for: a few
        seconds of something else on a busy machine are no reason to end a training of hours."""
        if self._reserve is None or self._deadline is None or self._landing_ends is not None or self._progress >= 0.9:
            return False
        if self._reserve.work <= _HICCUP * self._reserve.usual:
            return False
        if self._deadline.remaining() < self._reserve.seconds_for(self._reserve.usual) + 30.0:
            return False  # even if it passes, training is over
        if self._waiting_since is None:
            self._waiting_since = self._clock()
            logger.info("the machine is very slow at the moment: seeing whether that lasts")
        return self._clock() - self._waiting_since < 30.0

    def _begins_landing(self, needed: float) -> bool:
        """Where the machine slowed down so much that the reserve is reached with the decay far from its end, takes some
        of the slack to finish the decay in a tenth of the training time."""
        if not self._deadline_is_horizon or self._landing_ends is not None or self._progress >= 0.95:
            return False
        worst = self._reserve.work_at_worst if self._reserve else 0.0
        time = min(max(0.1 * self.seconds, 10 * needed), self._room_to_land(worst))
        self._landing_ends = self._clock() + time
        logger.info("the machine has slowed down: finishing the decay in %s", format_duration(time))
        return time > needed

    def _room_to_land(self, work: float) -> float:
        """Seconds that are left when the work after training is done, and the run is ended."""
        assert self._deadline is not None
        return self._deadline.remaining() - (1.05 * work + 12.0 if self._reserve else 0.0)

    def _share_of_time_ahead(self) -> float:
        """The share of the training time that is still ahead where the deadline sets the horizon.

        Between two questions the share shrinks as the time that is left does. With a fixed end this is exactly
        1 − elapsed / total; an end that moves bends the way to it, and a wrong estimate of it does no lasting harm.
        While a hiccup is waited for, nobody knows the end: the share stays as it is.
        """
        now, allowed = self._clock(), max(0.0, self.allowed())
        passed, self._asked = now - self._asked, now
        if self._waiting_since is not None:
            return self._time_ahead
        self._time_ahead *= allowed / (allowed + passed) if allowed + passed > 0 else 0.0
        return self._time_ahead
