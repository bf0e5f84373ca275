"""Who is next, and who has had enough for this hour."""

from __future__ import annotations

import pytest

from monet.serving.bot.texts import Declined
from monet.serving.bot.turns import HourlyLimit, Turns
from tests.conftest import FakeClock

ANN, BOB, CAT = 1, 2, 3


def drained(turns: Turns[str]) -> list[str]:
    found = []
    while (thing := turns.next()) is not None:
        found.append(thing)
        turns.done()
    return found


def test_people_take_turns_and_each_ones_things_keep_their_order() -> None:
    turns: Turns[str] = Turns(5)
    for thing in ("a1", "a2", "a3"):
        turns.enter(ANN, thing)
    turns.enter(BOB, "b1")
    turns.enter(CAT, "c1")
    turns.enter(BOB, "b2")
    assert drained(turns) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_the_place_is_how_many_come_before() -> None:
    turns: Turns[str] = Turns(5)
    assert turns.enter(ANN, "a1") == 0
    assert turns.next() == "a1"
    assert [turns.enter(ANN, f"a{number}") for number in (2, 3, 4)] == [1, 2, 3]
    assert turns.enter(BOB, "b1") == 2  # after a1, at work, and a2
    assert turns.enter(BOB, "b2") == 4  # after a1, a2, b1 and a3
    turns.done()
    assert drained(turns) == ["a2", "b1", "a3", "b2", "a4"]


def test_too_many_things_of_one_person_are_declined_and_another_ones_are_not() -> None:
    turns: Turns[str] = Turns(2)
    turns.enter(ANN, "a1")
    turns.enter(ANN, "a2")
    with pytest.raises(Declined) as declined:
        turns.enter(ANN, "a3")
    assert (declined.value.key, declined.value.values) == ("many waiting", {"most": 2})
    turns.enter(BOB, "b1")
    assert turns.next() == "a1"
    turns.enter(ANN, "a3")  # one is at work, and no longer waits


def test_clearing_returns_all_that_wait() -> None:
    turns: Turns[str] = Turns(2)
    turns.enter(ANN, "a1")
    turns.enter(BOB, "b1")
    turns.enter(ANN, "a2")
    assert turns.next() == "a1"
    assert turns.clear() == ["b1", "a2"]
    assert turns.next() is None


def test_the_hour_slides(clock: FakeClock) -> None:
    limit = HourlyLimit(3, clock)
    for _ in range(3):
        limit.take(ANN)
        clock.advance(600)  # 0, 10 and 20 minutes; now it is 30
    with pytest.raises(Declined) as declined:
        limit.take(ANN)
    assert (declined.value.key, declined.value.values) == ("hourly limit", {"most": 3, "minutes": 30})
    limit.take(BOB)
    clock.advance(1799)
    with pytest.raises(Declined) as declined:
        limit.take(ANN)
    assert declined.value.values["minutes"] == 1
    clock.advance(1)
    limit.take(ANN)
    with pytest.raises(Declined) as declined:
        limit.take(ANN)
    assert declined.value.values["minutes"] == 10


def test_an_album_counts_by_its_pictures_and_one_larger_than_the_limit_can_be_had(clock: FakeClock) -> None:
    limit = HourlyLimit(5, clock)
    limit.take(ANN, 3)
    clock.advance(60)
    with pytest.raises(Declined) as declined:
        limit.take(ANN, 3)
    assert declined.value.values["minutes"] == 59
    limit.take(ANN, 2)  # nothing was counted of what was declined
    clock.advance(3600)
    limit.take(ANN, 10)
    with pytest.raises(Declined):
        limit.take(ANN)


def test_people_whose_hour_is_over_are_forgotten(clock: FakeClock) -> None:
    limit = HourlyLimit(5, clock)
    for user in range(100):
        limit.take(user)
    clock.advance(3601)
    limit.take(1000)
    assert list(limit._taken) == [1000]
