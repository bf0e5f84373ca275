from __future__ import annotations

import pytest

from monet.clock import format_duration, parse_duration


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
