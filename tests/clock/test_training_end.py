from __future__ import annotations

import itertools
import math

import pytest

from monet.clock import Deadline, Horizon, Reserve, State, Timekeeper
from tests.conftest import FakeClock

LONG = pytest.param(17_100, 100, 0.2, marks=pytest.mark.slow)
"""As many steps as a GPU takes in 5 hours."""


class Machine:
    """Simulated work: training steps and painted photos, slower from a certain moment on.

    Attributes:
        keeper: of the run.
        decay_finished: what it says of the decay at the end.
        trained_until: seconds from the start to the end of training.
    """

    keeper: Timekeeper
    decay_finished: bool
    trained_until: float

    def __init__(self, *, budget: float, step: float, paint: float, slow_from: float, factor: float) -> None:
        self.clock = FakeClock()
        self.start = self.clock.now
        self.budget, self.step, self.paint = budget, step, paint
        self.slow_from, self.factor = slow_from, factor

    @property
    def elapsed(self) -> float:
        return self.clock.now - self.start

    def work(self, seconds: float) -> None:
        """Does what takes so many seconds at full speed, in pieces, so that a slow-down can begin within it."""
        while seconds > 1e-9:
            slow = self.elapsed >= self.slow_from - 1e-9
            factor = self.factor if slow else 1.0
            until = math.inf if slow else (self.slow_from - self.elapsed) / factor
            piece = min(seconds, until)
            self.clock.advance(piece * factor)
            seconds -= piece

    def probe(self) -> float:
        begun = self.elapsed
        share = min(self.paint, 2.0) / self.paint
        self.work(self.paint * share)
        return (self.elapsed - begun) / share

    def run(self) -> tuple[float, list[float]]:
        """Trains and paints; returns when it was over, and the progress before every step."""
        keeper = self.keeper = Timekeeper(
            Horizon(),
            clock=self.clock,
            deadline=Deadline(self.clock, self.start, self.budget),
            reserve=Reserve(self.probe, self.budget),
            deadline_is_horizon=True,
        )
        progress = []
        while (decision := keeper.poll(0)).state is not State.STOP:
            progress.append(decision.progress)
            begun = self.elapsed
            self.work(self.step)
            keeper.pace.record(self.elapsed - begun)
        self.trained_until = self.elapsed
        self.decay_finished = keeper.finish_decay(0)
        assert self.decay_finished == (keeper.progress(0) == 1.0)
        self.work(self.paint)
        return self.elapsed, progress

    def resume(self, budget: float) -> tuple[int, bool]:
        """Trains on in another process, as fast as at first, from what the first one has stored; returns the number of
        steps, and whether the decay is finished."""
        self.factor = 1.0
        keeper = Timekeeper(
            self.keeper.horizon,
            clock=self.clock,
            deadline=Deadline(self.clock, self.clock.now, budget),
            reserve=Reserve(self.probe, budget),
            seconds=self.keeper.seconds,
            progress=self.keeper.progress(0),
        )
        steps = 0
        while (decision := keeper.poll(0)).state is not State.STOP:
            if not steps:
                assert decision.progress == pytest.approx(self.keeper.progress(0), abs=0.01)
            begun = self.elapsed
            self.work(self.step)
            keeper.pace.record(self.elapsed - begun)
            steps += 1
        return steps, keeper.finish_decay(0)


SLOWDOWNS = [(share, factor) for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95) for factor in (1.3, 2.0, 4.0)]


@pytest.mark.parametrize(
    ("budget", "paint", "step"), [(480, 80, 0.1), (1800, 85, 0.4), (600, 30, 2.0), (17_100, 40, 1.0), LONG]
)
@pytest.mark.parametrize(("share", "factor"), SLOWDOWNS)
def test_a_slowdown_in_training_makes_no_process_late_that_can_still_paint_at_half_speed(
    budget: float, paint: float, step: float, share: float, factor: float
) -> None:
    begins = share * (budget - 1.5 * paint - 20)
    left = budget - begins
    machine = Machine(budget=budget, step=step, paint=paint, slow_from=begins, factor=factor)
    over, progress = machine.run()
    assert progress == sorted(progress)
    if factor <= 2 and left > factor * paint + 20 + 3 * factor * step:  # it takes 6 s and a probe to notice
        assert over <= budget
    if factor <= 2 and left > 1.05 * factor * paint + 40 + 10 * factor * step:
        assert progress[-1] > 0.95
    if share > 0:  # a machine that was slow from the start is as fast as it gets
        assert machine.trained_until <= budget - Reserve(lambda: paint, budget).seconds() + 2 * factor * step


@pytest.mark.parametrize(
    ("budget", "paint", "step"),
    [
        *((480, 80, 0.1), (1800, 85, 0.4), (1800, 400, 0.4), (600, 30, 2.0), LONG),
        pytest.param(17_100, 40, 1.0, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("factor", [2.0, 3.0, 4.0, 20.0])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.85, 0.95])
def test_a_decay_is_called_finished_only_at_its_end_and_else_a_later_process_finishes_it(
    budget: float, paint: float, step: float, factor: float, share: float
) -> None:
    begins = share * (budget - 1.5 * paint - 20)
    machine = Machine(budget=budget, step=step, paint=paint, slow_from=begins, factor=factor)
    _, progress = machine.run()
    if machine.decay_finished:
        assert progress[-1] > 0.98 - 2 * factor * step / machine.trained_until
        assert machine.resume(budget) == (0, True)
    else:
        assert progress[-1] < 0.98
        assert machine.keeper.horizon.progress(0, machine.keeper.seconds) < 0.99
        steps, decay_finished = machine.resume(budget)
        assert steps > 0
        assert decay_finished


def test_a_decay_without_room_is_unfinished_and_its_horizon_stays_ahead(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(budget=1800, step=0.4, paint=400, slow_from=1000, factor=2.0)  # at half speed it must paint now
    over, progress = machine.run()
    assert over <= 1830
    assert progress[-1] == pytest.approx(0.85, abs=0.03)
    assert not machine.decay_finished
    assert "no time is left to finish the learning-rate decay: it ends at 8" in caplog.text
    assert machine.keeper.horizon.seconds == pytest.approx(1180, abs=10)
    steps, decay_finished = machine.resume(480 + 800)
    assert steps == pytest.approx((1180 - 1010) / 0.4, rel=0.1)
    assert decay_finished


@pytest.mark.parametrize("factor", [3.0, 4.0])
def test_a_machine_that_slows_down_in_the_middle_of_480_seconds_finishes_its_decay_for_good_or_says_that_it_has_not(
    factor: float,
) -> None:
    machine = Machine(budget=480, step=0.1, paint=80, slow_from=240, factor=factor)
    _, progress = machine.run()
    assert machine.decay_finished == (progress[-1] > 0.97)
    if not machine.decay_finished:
        assert machine.resume(480)[0] > 100


@pytest.mark.parametrize(("budget", "paint"), [(1800, 70), (17_100, 300), (600, 20), (480, 35), (3600, 10)])
@pytest.mark.parametrize("moment", [pytest.param(i / 40, marks=[pytest.mark.slow] if i % 2 else []) for i in range(41)])
def test_half_speed_from_any_moment_on_is_borne_where_painting_is_a_small_part_of_the_budget(
    budget: float, paint: float, moment: float
) -> None:
    step = max(0.5, budget / 7000)
    machine = Machine(budget=budget, step=step, paint=paint, slow_from=moment * budget, factor=2.0)
    over, _ = machine.run()
    assert over <= budget


@pytest.mark.parametrize(("budget", "paint"), [(480, 80), (1800, 400), (17_100, 3000)])
@pytest.mark.parametrize("painted", [0.5, 0.6, 0.75, 0.9])
def test_half_speed_from_half_the_painting_on_is_always_borne(budget: float, paint: float, painted: float) -> None:
    begins = budget - 1.5 * paint - 20 + painted * paint
    machine = Machine(budget=budget, step=0.5, paint=paint, slow_from=begins, factor=2.0)
    over, _ = machine.run()
    assert over <= budget


@pytest.mark.parametrize(
    ("budget", "paint", "step"),
    [(480, 80, 0.1), (1800, 85, 0.4), (1800, 400, 0.4), (600, 30, 2.0), (17_100, 40, 1.0), LONG, (17_100, 3000, 6.0)],
)
def test_time_unused_stays_below_what_is_promised(budget: float, paint: float, step: float) -> None:
    machine = Machine(budget=budget, step=step, paint=paint, slow_from=math.inf, factor=1.0)
    over, progress = machine.run()
    # One step more would not have fitted, so a step may be added to the promise.
    assert budget - over <= max(0.05 * budget, 0.5 * paint + 20) + step
    assert len(progress) * step > budget - 2.2 * paint - 60


def test_a_machine_that_becomes_faster_gives_its_time_back_to_training() -> None:
    machine = Machine(budget=1800, step=1.0, paint=100, slow_from=0, factor=2.0)
    work, machine.factor = machine.work, 2.0

    def faster(seconds: float) -> None:
        machine.factor = 2.0 if machine.elapsed < 600 else 1.0
        work(seconds)

    machine.work = faster  # type: ignore[method-assign]
    over, _ = machine.run()
    assert 1800 - over <= max(90, 70) + 1


@pytest.mark.parametrize(
    ("budget", "paint", "step"),
    [(480, 80, 0.1), (600, 120, 0.5), (1800, 400, 0.5), (1800, 70, 0.15), (3600, 600, 8.0), (17_100, 300, 1.5), LONG],
)
@pytest.mark.parametrize("later", [0.5, 1, 2, 3, 5, 8, 12])
def test_a_slowdown_right_after_a_probe_is_noticed(budget: float, paint: float, step: float, later: float) -> None:
    steady = Machine(budget=budget, step=step, paint=paint, slow_from=math.inf, factor=1.0)
    probe, ends = steady.probe, list[float]()

    def noted() -> float:
        found = probe()
        ends.append(steady.elapsed)
        return found

    steady.probe = noted  # type: ignore[method-assign]
    steady.run()
    assert len(ends) == 5  # before training, three on the way, one at the end
    for end in ends[:-1]:
        machine = Machine(budget=budget, step=step, paint=paint, slow_from=end + later, factor=2.0)
        over, _ = machine.run()
        if budget - end - later > 2 * paint + 20 + 6 * step:  # else it cannot even paint in time
            assert over <= budget
        assert over <= budget + max(0, 0.5 * paint - 20)


@pytest.mark.parametrize("factor", [4.0, 30.0])
@pytest.mark.parametrize(("begins", "lasts"), [(140, 25), (1000, 25), (1300, 15), (60, 2)])
def test_a_hiccup_of_the_machine_ends_no_training(begins: float, lasts: float, factor: float) -> None:
    machine = Machine(budget=1800, step=0.15, paint=70, slow_from=math.inf, factor=1.0)
    work = machine.work

    def disturbed(seconds: float) -> None:
        slow = begins <= machine.elapsed < begins + lasts
        work(seconds * (factor if slow else 1.0))

    machine.work = disturbed  # type: ignore[method-assign]
    over, progress = machine.run()
    assert over <= 1800
    assert 1800 - over <= 90 + 1
    assert progress == sorted(progress)
    assert max(after - before for before, after in itertools.pairwise(progress)) < 0.1


def test_a_single_step_that_hangs_for_a_minute_ends_no_training() -> None:
    machine = Machine(budget=1800, step=0.15, paint=70, slow_from=math.inf, factor=1.0)
    work, hung = machine.work, [False]

    def hanging(seconds: float) -> None:
        if machine.elapsed > 300 and not hung[0]:
            hung[0] = True
            machine.clock.advance(60)
        work(seconds)

    machine.work = hanging  # type: ignore[method-assign]
    over, _ = machine.run()
    assert 1800 - 91 <= over <= 1800


def test_a_machine_that_stays_very_slow_trains_no_longer_than_usual_and_finishes_its_decay() -> None:
    machine = Machine(budget=1800, step=0.15, paint=70, slow_from=900, factor=10.0)
    over, progress = machine.run()
    assert progress[-1] > 0.98
    assert machine.decay_finished
    assert machine.trained_until < 1800 - 70 - 81
    assert over == pytest.approx(machine.trained_until + 700, abs=2)
