"""The time that is kept for what follows training: the work, measured, and some slack."""

from __future__ import annotations

import itertools
import logging
import math
import statistics
from collections.abc import Callable

from monet.clock.duration import format_duration
from monet.clock.pace import Pace
from monet.clock.policy import DEFAULT_POLICY, Policy

logger = logging.getLogger(__name__)


def reserve_seconds(work: float, budget: float, policy: Policy = DEFAULT_POLICY) -> float:
    """Returns the time to keep for what follows training: the work, and some slack.

    The slack is half the work plus 20 s, for a machine that slows down while it paints. Where 4.5 % of the budget are
    more than that, the slack grows to what a machine needs that falls to half its speed at the very first photo (the
    work once more, plus 20 s), and at most to those 4.5 %.

    Args:
        work: seconds that what follows training takes.
        budget: seconds of the whole process.
        policy: the numbers above.
    """
    least = policy.slack_work_share * work + policy.slack_seconds
    return work + max(least, min(work + policy.slack_seconds, policy.slack_budget_share * budget))


class Reserve:
    """Measures what follows training, and tells the time that must be left for it when training stops.

    The work is measured by a timed probe. Between two probes the pace of training tells when the machine becomes
    slower: the work grows with the seconds a step takes, compared with the pace at the probe, or the fastest since.

    Args:
        measure: the probe; returns the seconds that the work after training takes on this machine now.
        budget: seconds of the whole process.
        policy: the numbers of the reserve and of the pace.
    """

    def __init__(self, measure: Callable[[], float], budget: float, policy: Policy = DEFAULT_POLICY) -> None:
        self._measure = measure
        self._budget = budget
        self._policy = policy
        self._fastest = math.inf
        self.pace = Pace(policy)
        """How fast steps are; training records each one."""
        self._probes = [measure()]

    def measure_again(self) -> None:
        """Probes once more, and learns which pace belongs to what was found."""
        self._slowdown()
        pace = self.pace.seconds_per_step
        self._probes.append(self._measure())
        self.pace.restart()
        if self._probes[-1] > self._policy.probe_tolerance * self._probes[-2]:
            self._fastest = math.inf  # the steps before may not have been as slow yet: the next ones tell
        elif pace is not None:
            self._fastest = pace  # slow steps, perhaps, but the work after training is not slower for it
        level = logging.DEBUG if self.steady or self.measured <= 1 else logging.INFO
        logger.log(level, "what follows training now takes about %s", format_duration(self.measured))

    @property
    def measured(self) -> float:
        """Seconds that the work after training takes, by the last probe; by the mean of the last ones where something
        comes and goes on this machine."""
        policy, recent = self._policy, self._probes[-self._policy.probes_compared :]
        changes = sum(max(pair) > policy.probe_tolerance * min(pair) for pair in itertools.pairwise(recent))
        alternates = changes >= policy.probe_changes and max(recent) <= policy.probe_spread * min(recent)
        return statistics.fmean(recent) if alternates else recent[-1]

    @property
    def steady(self) -> bool:
        """The last two probes have found much the same."""
        last = self._probes[-2:]
        return max(last) <= self._policy.probe_tolerance * min(last)

    @property
    def work_at_best(self) -> float:
        """The shortest that a probe has found: what else computes makes a machine slower, and nothing makes it faster
        than it is."""
        return min(self._probes)

    @property
    def work(self) -> float:
        """Seconds that the work after training takes at the present pace."""
        return self.measured * self._slowdown()

    def seconds(self) -> float:
        """Returns the reserve at the present pace."""
        return reserve_seconds(self.work, self._budget, self._policy)

    def seconds_at_best(self) -> float:
        """Returns the reserve on a machine as fast as it was at best."""
        return reserve_seconds(self.work_at_best, self._budget, self._policy)

    def least_budget(self, passed: float) -> float:
        """Returns the budget above which there is time to train, where `passed` seconds are gone before training."""
        work, budget = self.work, passed
        while (needed := passed + reserve_seconds(work, budget, self._policy)) > budget:
            budget = needed  # the reserve grows with the budget, but far less
        return budget

    def _slowdown(self) -> float:
        """Returns how much slower steps are than at the last probe, or at best since, from 1."""
        if (pace := self.pace.seconds_per_step) is None:
            return 1.0
        self._fastest = min(self._fastest, pace)
        return max(1.0, pace / self._fastest)
