"""Durations: what is written is read again, and whatever text comes is a number of seconds or a `ValueError`."""

from __future__ import annotations

import math

import pytest

from monet.clock import format_duration, parse_duration
from monet.clock.policy import DEFAULT_POLICY
from tests.properties import EXAMPLES, holds

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402

MOST = DEFAULT_POLICY.longest_duration * 3600
NUMBERS = st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,3})?", fullmatch=True)


@EXAMPLES
def test_what_is_written_of_whole_seconds_is_read_as_that(examples: int) -> None:
    def check(seconds: int) -> None:
        assert parse_duration(format_duration(seconds)) == seconds

    holds(check, st.integers(1, int(MOST)), examples=examples)


@EXAMPLES
def test_what_is_written_of_any_seconds_is_read_as_the_nearest_second(examples: int) -> None:
    def check(seconds: float) -> None:
        assert abs(parse_duration(format_duration(seconds)) - seconds) <= 0.5

    holds(check, st.floats(0.6, MOST - 1), examples=examples)


@EXAMPLES
def test_hours_minutes_and_seconds_are_added(examples: int) -> None:
    def check(hours: str, minutes: str, seconds: str) -> None:
        total = 3600 * float(hours) + 60 * float(minutes) + float(seconds)
        hypothesis.assume(0 < total <= MOST)
        assert math.isclose(parse_duration(f"{hours}h{minutes}m{seconds}s"), total)
        assert parse_duration(f" {hours}h{minutes}m{seconds}s\n") == parse_duration(f"{hours}h{minutes}m{seconds}s")

    holds(check, NUMBERS, NUMBERS, NUMBERS, examples=examples)


@EXAMPLES
def test_whatever_text_comes_is_seconds_within_bounds_or_an_error_of_one_line(examples: int) -> None:
    def check(text: str) -> None:
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 300
        else:
            assert 0 < seconds <= MOST

    text = st.one_of(st.text(), st.text("0123456789.hms -+e_٣∞", max_size=30), st.text("0", min_size=5000))
    holds(check, text, examples=examples)
