"""A machine that is slowed down by whatever else computes on it, at any moment, and the schedule of the run on it.

The ideal schedule knows beforehand when training will end: its progress is training time passed / training time of the
whole run. It is evaluated at the very steps that were taken, so that it differs from what was done only by what could
not be known.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from monet.clock import Deadline, Horizon, Pace, Reserve, Timekeeper
from monet.training.trainer import learning_rate
from tests.conftest import FakeClock

BUDGET, PAINTING, PHOTOS = 1800.0, 85.0, 7000
RESERVE = PAINTING + 81.0
"""Kept for the painting on the undisturbed machine: 4.5 % of the budget are the slack."""


@dataclass(frozen=True)
class Slowdown:
    """Something else that computes for a while."""

    begins: float
    lasts: float
    training: float
    """So many times longer a step takes meanwhile."""
    painting: float
    """And a photo."""

    @property
    def ends(self) -> float:
        return self.begins + self.lasts


def slowed(begins: float, lasts: float, factor: float, painting: float | None = None) -> Slowdown:
    return Slowdown(begins, lasts, factor, factor if painting is None else painting)


@dataclass(frozen=True)
class Step:
    begun: float
    progress: float
    learning_rate: float


class Run:
    """One run on a disturbed machine, simulated: from the first probe to the last photo."""

    def __init__(
        self,
        slowdowns: Sequence[Slowdown],
        *,
        step: float = 0.2,
        budget: float = BUDGET,
        painting: float = PAINTING,
        keeper=Timekeeper,
    ) -> None:
        self.clock = FakeClock()
        self.start = self.clock.now
        self.slowdowns = slowdowns
        self.photo = painting / PHOTOS
        self.edges = sorted({edge for slow in slowdowns for edge in (slow.begins, slow.ends)}) + [math.inf]
        self.factors = [
            [max([1.0, *(getattr(slow, kind) for slow in slowdowns if slow.begins < edge <= slow.ends)]) for edge in self.edges]
            for kind in ("training", "painting")
        ]
        pace = Pace()
        self.keeper = Timekeeper(
            Horizon(),
            clock=self.clock,
            deadline=Deadline(self.clock, self.start, budget),
            reserve=Reserve(self.probe, budget, pace),
            deadline_is_horizon=True,
            pace=pace,
        )
        self.trained_from = self.elapsed
        self.steps: list[Step] = []
        while not self.keeper.should_stop(0):
            progress = self.keeper.progress(0)
            self.steps.append(Step(self.elapsed, progress, learning_rate(1.0, progress, 0.5)))
            self.work(step, painting=False)
            pace.record(self.elapsed - self.steps[-1].begun)
        self.trained_until = self.elapsed
        self.landed = self.keeper.land(0)
        self.work(painting, painting=True)
        self.over = self.elapsed

    @property
    def elapsed(self) -> float:
        return self.clock.now - self.start

    def work(self, seconds: float, painting: bool) -> None:
        """Does what takes so many seconds on the undisturbed machine."""
        while seconds > 1e-9:
            part = bisect.bisect_right(self.edges, self.elapsed + 1e-9)
            factor = self.factors[painting][part]
            piece = min(seconds, (self.edges[part] - self.elapsed) / factor)
            self.clock.advance(piece * factor)
            seconds -= piece

    def probe(self) -> float:
        """As `seconds_per_photo`: one batch that is not timed, then ever more photos until they take a second."""
        self.work(8 * self.photo, painting=True)
        count = 8
        while True:
            begun = self.elapsed
            self.work(count * self.photo, painting=True)
            if (took := self.elapsed - begun) >= 1.0:
                return took / count * PHOTOS
            count *= math.ceil(min(16.0, max(2.0, 1.0 / took)))

    @property
    def deviation(self) -> float:
        """How much more the learning rates of all steps come to than those of the ideal schedule, as a share."""
        whole = self.trained_until - self.trained_from
        ideal = sum(learning_rate(1.0, (step.begun - self.trained_from) / whole, 0.5) for step in self.steps)
        return sum(step.learning_rate for step in self.steps) / ideal - 1.0

    @property
    def least_before_the_end(self) -> float:
        """The lowest learning rate before the last 1 % of the steps."""
        return min(step.learning_rate for step in self.steps[: max(1, math.floor(0.99 * len(self.steps)))])


def random_slowdowns(seed: int) -> list[Slowdown]:
    """One to six, of 1 s to 5 min, 1 to 100 times slower, at any moment; some of them in training alone."""
    choose = random.Random(seed)
    found = []
    for _ in range(choose.randint(1, 6)):
        factor = math.exp(choose.uniform(0.0, math.log(100.0)))
        lasts = math.exp(choose.uniform(0.0, math.log(300.0))) if choose.random() < 0.5 else choose.uniform(1.0, 300.0)
        painting = factor if choose.random() < 0.7 else factor ** choose.uniform(0.0, 1.0)
        found.append(Slowdown(choose.uniform(-lasts, BUDGET), lasts, factor, painting))
    return found
