"""What the work after training takes, measured, and the time that is kept for it."""

from __future__ import annotations

import itertools
import logging
import math
import statistics
from collections import deque
from collections.abc import Callable

from monet.clock.durations import format_duration

logger = logging.getLogger(__name__)

LEAST_RESERVE = 20.0
"""Seconds that are kept in any case."""
_SLOWER = 1.2
"""A probe that takes so many times as long as the one before has met a slower machine."""
_LOOKED_BACK, _CHANGES, _SHARED = 12, 3, 2.5
"""Where so many probes in a row have changed that often, up or down, and none took more than so many times as long as
another, something else comes and goes on this machine and takes its share: it is as fast as the mean of them."""
_NOT_MISSED = 0.045
"""Share of a budget that the slack may take: with the last step, less than 5 % of it stay unused."""


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
        self.seconds_per_step: float | None = None
        """The median of the windows of the last ten seconds, and of two at least; None until three of them are full."""

    def record(self, seconds: float) -> None:
        """Notes the duration of one step."""
        self._latest.append(seconds)
        self._steps += 1
        self._seconds += seconds
        if self._seconds >= self._window:
            self._full_windows += 1
            if self._full_windows > 1:
                self._recent.append((self._seconds / self._steps, self._seconds))
                self.seconds_per_step = self._median()
            self._steps, self._seconds = 0, 0.0

    def restart(self) -> None:
        """Forgets the steps so far."""
        self._steps, self._seconds = 0, 0.0
        self._full_windows = min(self._full_windows, 1)
        self._recent.clear()
        self.seconds_per_step = None

    @property
    def next_step(self) -> float:
        """Seconds that the next step may take: the longest of the last few, but for one that may have been a stall."""
        if len(self._latest) < 3:
            return max(self._latest, default=0.0)
        return sorted(self._latest)[-2]

    def _median(self) -> float | None:
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


class Reserve:
    """The time that must be left when training stops: what the work after it takes, and some slack.

    The work is measured by a timed probe. Between two probes the pace of training tells when the machine becomes
    slower: the work grows with the seconds a step takes, compared with the pace at the probe, or the fastest since.

    The slack is half the work plus 20 s, for a machine that slows down while it paints. Where 4.5 % of the budget are
    more than that, the slack grows to what a machine needs that falls to half its speed at the very first photo (the
    work once more, plus 20 s), and at most to those 4.5 %.

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
        """Probes once more, and learns which pace belongs to what was found."""
        self._slower()
        pace = self._pace.seconds_per_step
        self._probes.append(self._measure())
        self._pace.restart()
        if self._probes[-1] > _SLOWER * self._probes[-2]:
            self._fastest = math.inf  # the steps before may not have been as slow yet: the next ones tell
        elif pace is not None:
            self._fastest = pace  # slow steps, perhaps, but the work after training is not slower for it
        level = logging.DEBUG if self.steady or self.measured <= 1 else logging.INFO
        logger.log(level, "what follows training now takes about %s", format_duration(self.measured))

    @property
    def measured(self) -> float:
        """Seconds that the work after training takes, by the last probe; by the mean of the last ones where something
        comes and goes on this machine."""
        recent = self._probes[-_LOOKED_BACK:]
        changes = sum(max(pair) > _SLOWER * min(pair) for pair in itertools.pairwise(recent))
        alternates = changes >= _CHANGES and max(recent) <= _SHARED * min(recent)
        return statistics.fmean(recent) if alternates else recent[-1]

    @property
    def steady(self) -> bool:
        """The last two probes have found much the same."""
        last = self._probes[-2:]
        return max(last) <= _SLOWER * min(last)

    @property
    def at_best(self) -> float:
        """The shortest that a probe has found: what else computes makes a machine slower, and nothing makes it faster
        than it is."""
        return min(self._probes)

    @property
    def work(self) -> float:
        """Seconds that the work after training takes at the present pace."""
        return self.measured * self._slower()

    def seconds(self) -> float:
        """The reserve at the present pace."""
        return self.seconds_for(self.work)

    def seconds_for(self, work: float) -> float:
        """The reserve where the work takes so many seconds."""
        return work + max(0.5 * work + LEAST_RESERVE, min(work + LEAST_RESERVE, _NOT_MISSED * self._budget))

    def least_budget(self, passed: float) -> float:
        """Seconds of a budget of which this reserve leaves no training, where so many are gone before it."""
        share = min((passed + self.work) / (1.0 - _NOT_MISSED), passed + 2.0 * self.work + LEAST_RESERVE)
        return max(passed + 1.5 * self.work + LEAST_RESERVE, share)

    def _slower(self) -> float:
        """How much slower steps are than at the last probe, or at best since, from 1."""
        if (pace := self._pace.seconds_per_step) is None:
            return 1.0
        self._fastest = min(self._fastest, pace)
        return max(1.0, pace / self._fastest)
