"""Times that begin anew in the middle of a file."""

from __future__ import annotations

from fractions import Fraction

from monet.data.timeline import Timeline

PICTURES, SOUND = 0, 1


def test_times_go_on_where_they_begin_anew_and_streams_stay_together() -> None:
    timeline = Timeline()
    step = Fraction(1, 10)

    def seen(stream: int, time: Fraction) -> Fraction:
        return time + timeline.moved(stream, time, step)

    assert [seen(PICTURES, index * step) for index in range(20)] == [index * step for index in range(20)]
    assert [seen(SOUND, index * step) for index in range(18)] == [index * step for index in range(18)]
    assert seen(PICTURES, Fraction(0)) == 2  # anew: the first stream decides
    assert seen(SOUND, 18 * step) == 18 * step  # of the first part still
    assert seen(SOUND, Fraction(0)) == 2
    assert seen(PICTURES, step) == 2 + step
    assert timeline.end_of(PICTURES) == 2 + 2 * step
    assert timeline.end == 2 + 2 * step


def test_short_recordings_follow_each_other() -> None:
    timeline, step = Timeline(), Fraction(1, 25)
    seen = [time + timeline.moved(0, time, step) for _ in range(6) for time in (index * step for index in range(20))]
    assert seen == [index * step for index in range(120)]


def test_a_single_wrong_time_moves_no_other() -> None:
    timeline, step = Timeline(), Fraction(1, 25)
    given = [index * step for index in range(200)]
    given[150] -= 5
    seen = [time + timeline.moved(0, time, step) for time in given]
    assert seen[151:] == [index * step for index in range(151, 200)]
    assert timeline.end == 8


def test_a_stream_that_was_silent_joins_the_others() -> None:
    timeline, step = Timeline(), Fraction(1, 10)
    for part in range(3):
        for index in range(30):
            assert index * step + timeline.moved(PICTURES, index * step, step) == (30 * part + index) * step
            if part != 1:
                assert index * step + timeline.moved(SOUND, index * step, step) == (30 * part + index) * step


def test_times_count_from_the_beginning() -> None:
    timeline = Timeline(Fraction(20_000))
    given = [Fraction(20_000 + index) for index in range(3)]
    assert [time + timeline.moved(0, time, Fraction(1)) for time in given] == [0, 1, 2]
    assert timeline.end == 3


def test_a_little_disorder_is_none_of_that() -> None:
    timeline = Timeline()
    assert [timeline.moved(0, Fraction(time), Fraction(0)) for time in (0, 2, Fraction(19, 10), 3)] == [0, 0, 0, 0]
