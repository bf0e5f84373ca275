"""What is reported of steps, and when."""

from __future__ import annotations

import pytest
import torch

from monet.clock import Horizon, Timekeeper
from monet.config import TrainingConfig
from monet.training.events import Listeners, StepEvent
from monet.training.losses import loss_names
from monet.training.reporting import PendingStep, StepReports
from tests.conftest import FakeClock
from tests.training.test_step import execution

NAMES = loss_names(TrainingConfig())


class Bench:
    """Reports of made-up steps of two pairs, each of which takes a second."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.execution = clock, execution()
        self.events: list[StepEvent] = []
        keeper = Timekeeper(Horizon(pairs=1000), clock=clock)
        self.reports = StepReports(self.execution, keeper, clock, Listeners(on_step=self.events.append))

    def step(self, loss: float) -> None:
        counters = self.execution.state.counters
        pairs = range(counters.pairs, counters.pairs + 2)
        losses = torch.full((len(NAMES),), loss)
        self.execution.guard.check_finite(losses)
        counters.pairs, counters.step = pairs.stop, counters.step + 1
        self.clock.advance(1.0)
        self.reports.add(PendingStep(pairs, 0.25, 1e-4, 7.0, losses))


@pytest.fixture
def bench(clock: FakeClock) -> Bench:
    return Bench(clock)


def test_each_step_is_reported_once_with_its_losses_by_name(bench: Bench) -> None:
    for loss in (1.0, 2.0):
        bench.step(loss)
    assert bench.events == []
    assert bench.reports.report() is None
    assert bench.reports.report() is None
    assert [(event.step, event.pairs) for event in bench.events] == [(1, 2), (2, 4)]
    assert [event.losses for event in bench.events] == [dict.fromkeys(NAMES, 1.0), dict.fromkeys(NAMES, 2.0)]
    event = bench.events[-1]
    assert (event.progress, event.learning_rate, event.seconds, event.pairs_per_second) == (0.25, 1e-4, 7.0, 2.0)


def test_the_first_step_that_is_not_finite_is_returned_and_neither_it_nor_those_after_it_are_reported(
    bench: Bench,
) -> None:
    for loss in (1.0, 2.0, float("inf"), 3.0):
        bench.step(loss)
    bad = bench.reports.report()
    assert bad is not None
    assert (bad.step, bad.pairs, bad.losses["generator"]) == (3, range(4, 6), float("inf"))
    assert [event.pairs for event in bench.events] == [2, 4]


def test_reports_are_due_after_each_step_on_a_cpu_and_after_a_second_on_an_accelerator(bench: Bench) -> None:
    assert bench.reports.due()
    bench.execution.device = torch.device("cuda")
    bench.reports.report()
    assert not bench.reports.due()
    bench.clock.advance(0.9)
    assert not bench.reports.due()
    bench.clock.advance(0.2)
    assert bench.reports.due()


def test_the_speed_is_that_of_the_last_steps(bench: Bench) -> None:
    for _ in range(30):
        bench.step(1.0)
    bench.clock.advance(100.0)
    for _ in range(19):
        bench.step(1.0)
    bench.reports.report()
    assert bench.events[-1].pairs_per_second == pytest.approx(38 / 119)
    bench.step(1.0)
    bench.reports.report()
    assert bench.events[-1].pairs_per_second == 2.0
