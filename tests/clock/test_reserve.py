from __future__ import annotations

import pytest

from monet.clock import Pace, Reserve, reserve_seconds


def paced(pace: Pace, seconds: float, steps: int) -> None:
    for _ in range(steps):
        pace.record(seconds)


def test_the_reserve_is_one_and_a_half_times_the_work_and_20_seconds() -> None:
    assert Reserve(lambda: 200.0, 1000.0).seconds() == pytest.approx(1.5 * 200 + 20)


def test_the_reserve_bears_half_speed_where_5_percent_of_the_budget_are_more_than_that() -> None:
    assert Reserve(lambda: 100.0, 17_100.0).seconds() == pytest.approx(2 * 100 + 20)
    assert Reserve(lambda: 100.0, 2_000.0).seconds() == pytest.approx(100 + 90)


@pytest.mark.parametrize(("work", "passed"), [(0, 5), (30, 10), (90, 10), (150, 700), (700, 20), (4000, 60)])
def test_the_least_budget_is_that_of_which_the_reserve_leaves_no_training(work: float, passed: float) -> None:
    least = Reserve(lambda: work, 600.0).least_budget(passed)
    for budget, enough in ((least + 1, True), (least - 1, False)):
        assert (Reserve(lambda: work, budget).seconds() < budget - passed) == enough


def test_the_reserve_grows_with_the_seconds_a_step_takes() -> None:
    reserve = Reserve(lambda: 100.0, 1000.0)
    pace = reserve.pace
    paced(pace, 1.0, 12)
    assert reserve.work == pytest.approx(100)
    paced(pace, 2.0, 20)
    assert reserve.work == pytest.approx(200)
    paced(pace, 1.0, 40)
    assert reserve.work == pytest.approx(100)


def test_one_slow_step_is_not_a_slow_machine() -> None:
    reserve = Reserve(lambda: 100.0, 1000.0)
    pace = reserve.pace
    paced(pace, 1.0, 12)
    pace.record(30.0)
    assert reserve.work == pytest.approx(100)


def test_steps_alone_that_become_slower_change_nothing_about_the_reserve_once_a_probe_has_told() -> None:
    reserve = Reserve(lambda: 100.0, 1000.0)
    pace = reserve.pace
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


def test_where_nothing_follows_training_20_seconds_are_kept_of_any_budget() -> None:
    assert [reserve_seconds(0.0, budget) for budget in (1.0, 600.0, 1e6)] == [20.0, 20.0, 20.0]
