from __future__ import annotations

import itertools
import math

import pytest

from monet.clock import Deadline, Horizon, Pace, Reserve, Timekeeper, format_duration, parse_duration
from tests.conftest import FakeClock


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5h", 18000), ("45m", 2700), ("90s", 90), ("1h30m", 5400), ("1h0m5s", 3605), ("0.5h", 1800), (" 8m ", 480)],
)
def test_a_duration_is_read_in_hours_minutes_and_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "five", "0s", "-5m", "5m1h", "1e3s", "5 m", "h", "٣m", "３m", "²s"])
def test_what_is_not_a_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="5h, 45m, 90s or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["100001h", "9" * 400 + "s", "1" * 400 + "h1m"])
def test_a_duration_beyond_all_use_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"longer than 100,000 hours") as refused:
        parse_duration(text)
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize(
    ("seconds", "text"), [(18000, "5h00m"), (3605, "1h00m05s"), (125, "2m05s"), (120, "2m"), (39.6, "40s"), (-3, "0s")]
)
def test_a_duration_is_written_to_the_second(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_progress_is_the_larger_share_of_the_terms_that_exist() -> None:
    assert Horizon(pairs=100).progress(25, 1e9) == 0.25
    assert Horizon(seconds=50).progress(10**9, 10) == 0.2
    assert Horizon(pairs=100, seconds=50).progress(25, 10) == 0.25
    assert Horizon(pairs=100, seconds=50).progress(25, 40) == 0.8
    assert Horizon(pairs=100).progress(150, 0) == 1.0


def test_a_timekeeper_without_any_end_is_refused(clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="needs a deadline"):
        Timekeeper(Horizon(), clock=clock)


def test_pairs_end_a_run_whatever_the_clock_says(clock: FakeClock) -> None:
    keeper = Timekeeper(Horizon(pairs=10), clock=clock)
    clock.advance(1e6)
    assert keeper.progress(5) == 0.5
    assert not keeper.should_stop(9)
    assert keeper.should_stop(10)
    assert keeper.finish_decay(10)


def test_progress_never_decreases_although_fewer_pairs_are_reported(clock: FakeClock) -> None:
    keeper = Timekeeper(Horizon(pairs=10), clock=clock)
    assert keeper.progress(6) == 0.6
    assert keeper.progress(4) == 0.6


def test_training_time_of_earlier_processes_counts_towards_the_horizon(clock: FakeClock) -> None:
    keeper = Timekeeper(Horizon(seconds=100), clock=clock, seconds=60, progress=0.6)
    clock.advance(20)
    assert keeper.seconds == 80
    assert keeper.progress(0) == pytest.approx(0.8)


def keeper_for(clock: FakeClock, budget: float, work: float, horizon: Horizon | None = None) -> Timekeeper:
    pace = Pace()
    return Timekeeper(
        horizon or Horizon(),
        clock=clock,
        deadline=Deadline(clock, clock.now, budget),
        reserve=Reserve(lambda: work, budget, pace),
        deadline_is_horizon=horizon is None,
        pace=pace,
    )


def test_progress_towards_a_deadline_is_elapsed_over_allowed_training_time(clock: FakeClock) -> None:
    keeper = keeper_for(clock, budget=270, work=100)  # 100 of painting, 50 + 20 of slack: 100 for training
    for second in range(1, 99):
        clock.advance(1)
        assert keeper.progress(0) == pytest.approx(second / 100)


def test_a_wrong_estimate_of_the_work_after_training_does_no_lasting_harm(clock: FakeClock) -> None:
    work = [100.0]
    pace = Pace()
    reserve = Reserve(lambda: work[0], 270, pace)
    keeper = Timekeeper(
        Horizon(), clock=clock, deadline=Deadline(clock, clock.now, 270), reserve=reserve, deadline_is_horizon=True
    )
    clock.advance(40)
    assert keeper.progress(0) == pytest.approx(0.4)
    work[0] = 130.0  # 45 s less for training
    reserve.measure_again()
    clock.advance(1)
    work[0] = 100.0
    reserve.measure_again()
    assert keeper.progress(0) < 0.48
    clock.advance(58)
    assert 0.97 < keeper.progress(0) < 1.0


def test_the_reserve_is_one_and_a_half_times_the_work_and_20_seconds() -> None:
    assert Reserve(lambda: 200.0, 1000.0, Pace()).seconds() == pytest.approx(1.5 * 200 + 20)


def test_the_reserve_bears_half_speed_where_5_percent_of_the_budget_are_more_than_that() -> None:
    assert Reserve(lambda: 100.0, 17_100.0, Pace()).seconds() == pytest.approx(2 * 100 + 20)
    assert Reserve(lambda: 100.0, 2_000.0, Pace()).seconds() == pytest.approx(100 + 90)


def paced(pace: Pace, seconds: float, steps: int) -> None:
    for _ in range(steps):
        pace.record(seconds)


@pytest.mark.parametrize(("work", "passed"), [(0, 5), (30, 10), (90, 10), (150, 700), (700, 20), (4000, 60)])
def test_the_least_budget_is_that_of_which_the_reserve_leaves_no_training(work: float, passed: float) -> None:
    least = Reserve(lambda: work, 600.0, Pace()).least_budget(passed)
    for budget, enough in ((least + 1, True), (least - 1, False)):
        assert (Reserve(lambda: work, budget, Pace()).seconds() < budget - passed) == enough


def test_the_reserve_grows_with_the_seconds_a_step_takes() -> None:
    pace = Pace()
    reserve = Reserve(lambda: 100.0, 1000.0, pace)
    paced(pace, 1.0, 12)
    assert reserve.work == pytest.approx(100)
    paced(pace, 2.0, 20)
    assert reserve.work == pytest.approx(200)
    paced(pace, 1.0, 40)
    assert reserve.work == pytest.approx(100)


def test_one_slow_step_is_not_a_slow_machine() -> None:
    pace = Pace()
    reserve = Reserve(lambda: 100.0, 1000.0, pace)
    paced(pace, 1.0, 12)
    pace.record(30.0)
    assert reserve.work == pytest.approx(100)


def test_the_warm_up_is_not_a_measure_of_pace() -> None:
    pace = Pace()
    pace.record(60.0)
    paced(pace, 1.0, 6)
    assert pace.seconds_per_step == pytest.approx(1.0)


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
        pace = Pace()
        keeper = self.keeper = Timekeeper(
            Horizon(),
            clock=self.clock,
            deadline=Deadline(self.clock, self.start, self.budget),
            reserve=Reserve(self.probe, self.budget, pace),
            deadline_is_horizon=True,
            pace=pace,
        )
        progress = []
        while not keeper.should_stop(0):
            progress.append(keeper.progress(0))
            begun = self.elapsed
            self.work(self.step)
            pace.record(self.elapsed - begun)
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
            reserve=Reserve(self.probe, budget, pace := Pace()),
            seconds=self.keeper.seconds,
            progress=self.keeper.progress(0),
            pace=pace,
        )
        steps = 0
        while not keeper.should_stop(0):
            if not steps:
                assert keeper.progress(0) == pytest.approx(self.keeper.progress(0), abs=0.01)
            begun = self.elapsed
            self.work(self.step)
            pace.record(self.elapsed - begun)
            steps += 1
        return steps, keeper.finish_decay(0)


SLOWDOWNS = [(share, factor) for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95) for factor in (1.3, 2.0, 4.0)]


@pytest.mark.parametrize(
    ("budget", "paint", "step"), [(480, 80, 0.1), (1800, 85, 0.4), (600, 30, 2.0), (17_100, 40, 0.2)]
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
        assert machine.trained_until <= budget - Reserve(lambda: paint, budget, Pace()).seconds() + 2 * factor * step


@pytest.mark.parametrize(
    ("budget", "paint", "step"), [(480, 80, 0.1), (1800, 85, 0.4), (1800, 400, 0.4), (600, 30, 2.0), (17_100, 40, 0.2)]
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
@pytest.mark.parametrize("moment", [i / 40 for i in range(41)])
def test_half_speed_from_any_moment_on_is_borne_where_painting_is_a_small_part_of_the_budget(
    budget: float, paint: float, moment: float
) -> None:
    machine = Machine(budget=budget, step=0.5, paint=paint, slow_from=moment * budget, factor=2.0)
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
    [(480, 80, 0.1), (1800, 85, 0.4), (1800, 400, 0.4), (600, 30, 2.0), (17_100, 40, 0.2), (17_100, 3000, 6.0)],
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
    [(480, 80, 0.1), (600, 120, 0.5), (1800, 400, 0.5), (1800, 70, 0.15), (3600, 600, 8.0), (17_100, 300, 0.3)],
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


def test_steps_alone_that_become_slower_change_nothing_about_the_reserve_once_a_probe_has_told() -> None:
    pace = Pace()
    reserve = Reserve(lambda: 100.0, 1000.0, pace)
    paced(pace, 0.2, 100)
    assert reserve.work == pytest.approx(100)
    paced(pace, 10.0, 5)
    assert reserve.work == pytest.approx(5000)
    reserve.measure_again()
    paced(pace, 10.0, 5)
    assert reserve.work == pytest.approx(100)
    paced(pace, 0.2, 100)
    assert reserve.work == pytest.approx(100)
    paced(pace, 0.4, 60)
    assert reserve.work == pytest.approx(200)


def test_more_training_after_a_finished_run_continues_its_share_of_the_time(clock: FakeClock) -> None:
    keeper = Timekeeper(
        Horizon(pairs=1000),
        clock=clock,
        deadline=Deadline(clock, clock.now, 270),
        reserve=Reserve(lambda: 100.0, 270, pace := Pace()),
        deadline_is_horizon=True,
        seconds=100.0,
        pace=pace,
    )
    assert keeper.progress(0) == pytest.approx(0.5)
    clock.advance(50)
    assert keeper.progress(0) == pytest.approx(0.75)
    later = Timekeeper(keeper.horizon, clock=clock, seconds=keeper.seconds, progress=keeper.progress(0))
    assert later.progress(0) == pytest.approx(0.75)
    clock.advance(25)
    assert later.progress(0) == pytest.approx(0.875)


@pytest.mark.parametrize("factor", [10.0, 1000.0])
def test_a_run_that_is_saved_in_a_slow_minute_goes_on_from_the_same_progress(clock: FakeClock, factor: float) -> None:
    work, pace = [80.0], Pace()
    reserve = Reserve(lambda: work[0], 480, pace)
    keeper = Timekeeper(
        Horizon(),
        clock=clock,
        deadline=Deadline(clock, clock.now, 480),
        reserve=reserve,
        deadline_is_horizon=True,
        pace=pace,
    )
    for second in range(200):
        work[0] = 80.0 * (factor if second >= 170 else 1.0)
        if second == 180:
            reserve.measure_again()
        assert not keeper.should_stop(0)
        progress = keeper.progress(0)
        clock.advance(1)
        pace.record(1.0)
        stored = keeper.horizon
        assert stored.seconds == pytest.approx(340)  # what the machine allowed before
        assert stored.progress(0, keeper.seconds) < 0.6
    later = Timekeeper(stored, clock=clock, seconds=keeper.seconds, progress=progress)
    assert not later.should_stop(0)
    assert later.progress(0) == pytest.approx(progress, abs=0.005)
    clock.advance(141)
    assert later.should_stop(0)
    assert later.finish_decay(0)


def test_training_alone_ends_without_waiting(clock: FakeClock) -> None:
    keeper = keeper_for(clock, budget=270, work=0)
    while not keeper.should_stop(0):
        keeper.progress(0)
        clock.advance(1)
        keeper.pace.record(1.0)
    assert clock.now - 100 == pytest.approx(250 - 1, abs=1)


def test_time_left_follows_the_pairs_where_they_end_the_run_before_its_deadline(clock: FakeClock) -> None:
    keeper = Timekeeper(
        Horizon(pairs=1000),
        clock=clock,
        deadline=Deadline(clock, clock.now, 17_100),
        reserve=Reserve(lambda: 40.0, 17_100, Pace()),
        deadline_is_horizon=True,
    )
    clock.advance(600)
    assert keeper.time_left(500) == pytest.approx(600)
    assert keeper.time_left(10) == pytest.approx(keeper.allowed())
