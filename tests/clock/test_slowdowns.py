"""A machine that is slowed down by whatever else computes on it, at any moment, and the schedule of the run on it.

The ideal schedule knows beforehand when training will end: its progress is training time passed / training time of the
whole run. It is evaluated at the very steps that were taken, so that it differs from what was done only by what could
not be known. A slow-down that meets the painting itself is another matter: where it is more than the reserve bears, the
archive is late, whatever the schedule.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from monet.clock import Deadline, Horizon, Reserve, State, Timekeeper
from monet.training.schedule import decayed_rate
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
        look: Callable[[Run], None] = lambda _: None,
    ) -> None:
        self.clock = FakeClock()
        self.start = self.clock.now
        self.longest_probe, self.probes = 0.0, 0
        self.slowdowns = slowdowns
        self.photo = painting / PHOTOS
        self.edges = edges = [*sorted({edge for slow in slowdowns for edge in (slow.begins, slow.ends)}), math.inf]
        self.factors = [
            [
                max([1.0, *(getattr(slow, kind) for slow in slowdowns if slow.begins < edge <= slow.ends)])
                for edge in edges
            ]
            for kind in ("training", "painting")
        ]
        self.keeper = Timekeeper(
            Horizon(),
            clock=self.clock,
            deadline=Deadline(self.clock, self.start, budget),
            reserve=Reserve(self.probe, budget),
            deadline_is_horizon=True,
        )
        self.trained_from = self.elapsed
        self.steps: list[Step] = []
        while (decision := self.keeper.poll(0)).state is not State.STOP:
            rate = decayed_rate(1.0, decision.progress, 0.5)
            self.steps.append(Step(self.elapsed, decision.progress, rate))
            self.work(step, painting=False)
            self.keeper.pace.record(self.elapsed - self.steps[-1].begun)
            look(self)
        self.trained_until = self.elapsed
        self.decay_finished = self.keeper.finish_decay(0)
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
        start = self.elapsed
        self.probes += 1
        self.work(8 * self.photo, painting=True)
        count = 8
        while True:
            begun = self.elapsed
            self.work(count * self.photo, painting=True)
            if (took := self.elapsed - begun) >= 1.0:
                self.longest_probe = max(self.longest_probe, self.elapsed - start)
                return took / count * PHOTOS
            count *= math.ceil(min(16.0, max(2.0, 1.0 / took)))

    @property
    def longest_step(self) -> float:
        return max(after.begun - step.begun for step, after in itertools.pairwise(self.steps))

    @property
    def deviation(self) -> float:
        """How much more the learning rates of all steps come to than those of the ideal schedule, as a share."""
        whole = self.trained_until - self.trained_from
        ideal = sum(decayed_rate(1.0, (step.begun - self.trained_from) / whole, 0.5) for step in self.steps)
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


def check(run: Run) -> None:
    progress = [step.progress for step in run.steps]
    assert progress == sorted(progress)
    assert abs(run.deviation) < 0.1
    assert run.least_before_the_end > 0.001
    assert run.decay_finished == (run.keeper.reached(0) == 1.0)
    three_steps = 3 * run.keeper.pace.next_step / run.keeper.seconds
    assert run.steps[-1].learning_rate < (2 * max(0.03, min(0.15, three_steps)) + 1e-9 if run.decay_finished else 0.25)
    # The slack is for the painting: no more of it goes than the last step and a probe take on a machine that is slow.
    last = run.trained_until - run.steps[-1].begun
    assert run.trained_until <= BUDGET - RESERVE + max(last, run.longest_step) + 2 * run.longest_probe
    if all(slow.ends <= run.trained_until or slow.begins >= run.over for slow in run.slowdowns):
        assert run.over <= BUDGET


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_whatever_slows_a_run_down_its_learning_rates_are_those_of_the_ideal_schedule_within_a_tenth(
    first: int,
) -> None:
    for seed in range(first, first + 20):
        check(Run(random_slowdowns(seed), step=1.0))


AT_THE_START = [[slowed(0, 300, factor)] for factor in (2, 5, 8, 10, 12, 20, 22, 100)]
AT_A_FIRST_PROBE = [[slowed(-120, 270, factor), slowed(97, 96, 65)] for factor in (4, 8, 13, 40)]
BETWEEN_FAST_PROBES = [[slowed(0, 15, 50), slowed(70, 260, 80, 10)], [slowed(0, 13, 9), slowed(154, 217, 11)]]
AT_A_CHECKUP = [[slowed(moment, lasts, 30)] for moment in (490, 981, 1390) for lasts in (3, 60, 300)]
IN_TRAINING_ALONE = [[slowed(moment, 120, 50, 1.3)] for moment in (0, 180, 700, 1200, 1450, 1550)]
BEFORE_THE_END = [[slowed(moment, 1620 - moment, factor)] for moment in (1330, 1500, 1600) for factor in (2, 4, 30)]
ONE_LONG_STEP = [
    [slowed(moment, lasts, 100)] for moment, lasts in ((1400, 150), (1410, 150), (1410, 200), (1425, 150), (1425, 200))
]
OFTEN = [[slowed(60 * i + 20, 30, 50) for i in range(40)], [slowed(10 * i, 5, 20) for i in range(200)]]
FOR_A_QUARTER_OF_AN_HOUR = [[slowed(300 * i, 300, factor) for i in (1, 2, 3)] for factor in (4, 14, 100)]


@pytest.mark.parametrize(
    "slowdowns",
    [
        *AT_THE_START,
        *AT_A_FIRST_PROBE,
        *BETWEEN_FAST_PROBES,
        *AT_A_CHECKUP,
        *IN_TRAINING_ALONE,
        *BEFORE_THE_END,
        *ONE_LONG_STEP,
        *OFTEN,
        *FOR_A_QUARTER_OF_AN_HOUR,
    ],
    ids=lambda slowdowns: f"{len(slowdowns)} from {slowdowns[0].begins:.0f} x{slowdowns[0].training:.0f}",
)
def test_the_worst_moments_for_a_slowdown_cost_no_more_than_others(slowdowns: list[Slowdown]) -> None:
    for step in (0.5, 1.0):
        check(Run(slowdowns, step=step))


def company(seed: int, budget: float) -> list[Slowdown]:
    """Another program that computes for 2 to 15 s, pauses for as long, and computes again, until all is over."""
    choose = random.Random(seed)
    moment = -choose.uniform(0.0, 12.0)
    period = choose.choice([2, 3, 3, 3, 4, 5, 8, 15])
    training, painting = choose.uniform(1.5, 3.0), choose.uniform(1.5, 2.2)
    found = []
    while moment < 1.5 * budget:
        lasts, pause = period * choose.uniform(0.8, 1.2), period * choose.uniform(0.8, 1.2)
        found.append(slowed(moment, lasts, training, painting))
        moment += lasts + pause
    return found


def test_beside_a_program_that_comes_and_goes_nearly_every_short_run_has_the_ideal_schedule_and_ends_it() -> None:
    runs = [Run(company(seed, 600.0), budget=600.0, painting=114.0) for seed in range(60)]
    deviations = sorted(abs(run.deviation) for run in runs)
    assert deviations[-4] < 0.1
    assert deviations[-7] < 0.07
    assert sum(run.decay_finished for run in runs) >= 55
    assert all(run.over <= 600.0 for run in runs)


def test_two_minutes_in_which_steps_take_50_times_as_long_leave_the_schedule_as_it_was() -> None:
    run = Run([slowed(180, 120, 50, 3)])
    assert abs(run.deviation) < 0.001
    assert run.decay_finished
    assert run.trained_until == pytest.approx(BUDGET - RESERVE, abs=1)


@pytest.mark.parametrize(("factor", "begins"), [(2, 100), (2, 800), (2, 1500), (3, 100), (3, 1300), (4, 100), (4, 900)])
def test_a_machine_that_stays_slower_is_in_time_with_its_decay_finished(factor: float, begins: float) -> None:
    run = Run([slowed(begins, 1e9, factor)], step=0.5)
    assert run.over <= BUDGET
    assert run.decay_finished
    assert abs(run.deviation) < 0.1


def test_a_quiet_machine_on_which_painting_takes_most_of_the_budget_is_not_doubted_for_long() -> None:
    run = Run([], step=37.0, budget=18_000.0, painting=9_810.0)
    assert run.decay_finished
    assert run.over <= 18_000
    assert abs(run.deviation) < 0.1
    assert run.probes < 15


@pytest.mark.parametrize("begins", [50, 100, 150])
def test_half_speed_that_begins_early_is_borne_where_painting_takes_almost_half_of_the_budget(begins: float) -> None:
    run = Run([slowed(begins, 1e9, 2)], painting=800.0)
    assert run.over <= BUDGET


@pytest.mark.parametrize("seed", range(200, 210))
def test_what_is_stored_at_any_moment_is_ahead_and_continues_from_the_same_progress(seed: int) -> None:
    def look(run: Run) -> None:
        progress, stored = run.keeper.reached(0), run.keeper.horizon
        later = Timekeeper(stored, clock=run.clock, seconds=run.keeper.seconds, progress=progress)
        decision = later.poll(0)
        assert decision.state is State.TRAINING
        assert decision.progress == pytest.approx(progress)

    Run(random_slowdowns(seed), step=2.0, look=look)
