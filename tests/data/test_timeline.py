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


def test_a_little_disorder_is_none_of_that() -> None:
    timeline = Timeline()
    assert [timeline.moved(0, Fraction(time), Fraction(0)) for time in (0, 2, Fraction(3, 2), 3)] == [0, 0, 0, 0]


def test_what_has_no_time_follows() -> None:
    timeline = Timeline()
    timeline.moved(0, Fraction(1), Fraction(1))
    assert timeline.after(0, Fraction(1, 2)) == 2
    assert timeline.after(0, Fraction(1, 2)) == Fraction(5, 2)
