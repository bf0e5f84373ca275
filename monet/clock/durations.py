"""Durations as people write them."""

from __future__ import annotations

import re

from monet.errors import shown

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile(rf"(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?(?:(?P<s>{_NUMBER})s)?")
_LONGEST = 100_000 * _UNITS["h"]


def parse_duration(text: str) -> float:
    """Reads a duration such as `5h`, `45m`, `90s` or `1h30m`.

    Returns:
        Seconds, above 0 and up to 100,000 hours.

    Raises:
        ValueError: the text is not a duration, is zero or longer than that.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = sum(_UNITS[unit] * float(number) for unit, number in match.groupdict(default="0").items()) if match else 0
    if seconds <= 0:
        raise ValueError(f"{shown(text)} is not a duration: write it as 5h, 45m, 90s or 1h30m")
    if seconds > _LONGEST:
        raise ValueError(f"{shown(text)} is longer than 100,000 hours")
    return seconds


def format_duration(seconds: float) -> str:
    """Writes seconds the way `parse_duration` reads them, to the second: `1h30m`, `2m05s`, `40s`."""
    total = max(0, round(seconds))
    hours, minutes, rest = total // 3600, total % 3600 // 60, total % 60
    if hours:
        return f"{hours}h{minutes:02d}m" + (f"{rest:02d}s" if rest else "")
    if minutes:
        return f"{minutes}m" + (f"{rest:02d}s" if rest else "")
    return f"{rest}s"
