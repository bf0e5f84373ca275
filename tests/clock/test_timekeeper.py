from __future__ import annotations

import pytest

from monet.clock import Deadline, Horizon, Reserve, State, Timekeeper
from tests.conftest import FakeClock


def test_a_timekeeper_without_any_end_is_refused(clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="needs a deadline"):
        Timekeeper(Horizon(), clock=clock)


def test_pairs_end_a_run_whatever_the_clock_says(clock: FakeClock) -> None:
    keeper = Timekeeper(Horizon(pairs=10), clock=clock)
    clock.advance(1e6)
    assert keeper.progress(5) == 0.5
    assert keeper.poll(9).state is State.TRAINING
    assert keeper.poll(10).state is State.STOP
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
    return Timekeeper(
        horizon or Horizon(),
        clock=clock,
        deadline=Deadline(clock, clock.now, budget),
        reserve=Reserve(lambda: work, budget),
        deadline_is_horizon=horizon is None,
    )


def test_progress_towards_a_deadline_is_elapsed_over_allowed_training_time(clock: FakeClock) -> None:
    keeper = keeper_for(clock, budget=270, work=100)  # 100 of painting, 50 + 20 of slack: 100 for training
    for second in range(1, 99):
        clock.advance(1)
        assert keeper.progress(0) == pytest.approx(second / 100)


def test_a_wrong_estimate_of_the_work_after_training_does_no_lasting_harm(clock: FakeClock) -> None:
    work = [100.0]
    reserve = Reserve(lambda: work[0], 270)
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


def test_more_training_after_a_finished_run_continues_its_share_of_the_time(clock: FakeClock) -> None:
    keeper = Timekeeper(
        Horizon(pairs=1000),
        clock=clock,
        deadline=Deadline(clock, clock.now, 270),
        reserve=Reserve(lambda: 100.0, 270),
        deadline_is_horizon=True,
        seconds=100.0,
    )
    assert keeper.progress(0) == pytest.approx(0.5)
    clock.advance(50)
    assert keeper.progress(0) == pytest.approx(0.75)
    later = Timekeeper(keeper.horizon, clock=clock, seconds=keeper.seconds, progress=keeper.progress(0))
    assert later.progress(0) == pytest.approx(0.75)
    clock.advance(25)
    assert later.progress(0) == pytest.approx(0.875)


@pytest.mark.parametrize("factor", [10.0, 1000.0])
def test_a_run_that_is_saved_in_a_slow_minute_continues_from_the_same_progress(clock: FakeClock, factor: float) -> None:
    work = [80.0]
    reserve = Reserve(lambda: work[0], 480)
    keeper = Timekeeper(
        Horizon(),
        clock=clock,
        deadline=Deadline(clock, clock.now, 480),
        reserve=reserve,
        deadline_is_horizon=True,
    )
    for second in range(200):
        work[0] = 80.0 * (factor if second >= 170 else 1.0)
        if second == 180:
            reserve.measure_again()
        decision = keeper.poll(0)
        assert decision.state is State.TRAINING
        clock.advance(1)
        keeper.pace.record(1.0)
        stored = keeper.horizon
        assert stored.seconds == pytest.approx(340)  # what the machine allowed before
        assert stored.progress(0, keeper.seconds) < 0.6
    later = Timekeeper(stored, clock=clock, seconds=keeper.seconds, progress=decision.progress)
    resumed = later.poll(0)
    assert resumed.state is State.TRAINING
    assert resumed.progress == pytest.approx(decision.progress, abs=0.005)
    clock.advance(141)
    assert later.poll(0).state is State.STOP
    assert later.finish_decay(0)


def test_training_alone_ends_without_waiting(clock: FakeClock) -> None:
    keeper = keeper_for(clock, budget=270, work=0)
    while keeper.poll(0).state is not State.STOP:
        clock.advance(1)
        keeper.pace.record(1.0)
    assert clock.now - 100 == pytest.approx(250 - 1, abs=1)


def test_time_left_follows_the_pairs_where_they_end_the_run_before_its_deadline(clock: FakeClock) -> None:
    keeper = Timekeeper(
        Horizon(pairs=1000),
        clock=clock,
        deadline=Deadline(clock, clock.now, 17_100),
        reserve=Reserve(lambda: 40.0, 17_100),
        deadline_is_horizon=True,
    )
    clock.advance(600)
    assert keeper.time_left(500) == pytest.approx(600)
    assert keeper.time_left(10) == pytest.approx(keeper.allowed())


def test_a_last_step_begins_where_there_is_time_for_it_but_not_for_what_follows_it(clock: FakeClock) -> None:
    keeper = keeper_for(clock, budget=1000, work=100, horizon=Horizon(pairs=10**9))
    keeper.pace.record(1.0)
    clock.advance(1000 - 170 - 3)  # three seconds before the reserve
    assert keeper.poll(0, pause=1.0).state is State.TRAINING
    assert keeper.poll(0, pause=60.0).state is State.FINISHING
    clock.advance(3)
    assert keeper.poll(0, pause=60.0).state is State.STOP


def test_the_training_time_stands_still_when_training_has_ended(clock: FakeClock) -> None:
    keeper = Timekeeper(Horizon(seconds=100), clock=clock, seconds=60)
    clock.advance(20)
    assert not keeper.finish_decay(0)
    clock.advance(1000)
    assert keeper.seconds == 80
    assert keeper.reached(0) == pytest.approx(0.8)


def test_a_decay_is_finished_when_all_pairs_are_seen_however_few_steps_that_takes(clock: FakeClock) -> None:
    deadline = Deadline(clock, clock.now, 600.0)
    keeper = Timekeeper(Horizon(pairs=8), clock=clock, deadline=deadline, deadline_is_horizon=True)
    for pairs in (0, 2, 4, 6):
        assert keeper.poll(pairs).progress == pairs / 8
        clock.advance(0.1)
        keeper.pace.record(0.1)
    assert keeper.poll(8).state is State.STOP
    assert keeper.finish_decay(8)
    assert keeper.left_out == 0.0
