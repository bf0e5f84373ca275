"""Durations as people write them."""

from __future__ import annotations

import re

from monet.clock.policy import DEFAULT_POLICY, Policy
from monet.errors import shown

_SECONDS = {"h": 3600, "m": 60, "s": 1}
"""Seconds of each unit."""
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile(rf"(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?(?:(?P<s>{_NUMBER})s)?")


def parse_duration(text: str, policy: Policy = DEFAULT_POLICY) -> float:
    """Reads a duration such as `5h`, `45m`, `90s` or `1h30m`.

    Returns:
        Seconds, above 0 and up to 100,000 hours.

    Raises:
        ValueError: the text is not a duration, is zero or longer than that.
    """
    match = _DURATION.fullmatch(text.strip())
    numbers = match.groupdict(default="0") if match else {}
    seconds = sum((_SECONDS[unit] * float(number) for unit, number in numbers.items()), 0.0)
    if seconds <= 0:
        raise ValueError(f"{shown(text)} is not a duration: write it as 5h, 45m, 90s or 1h30m")
    if seconds > policy.longest_duration * _SECONDS["h"]:
        raise ValueError(f"{shown(text)} is longer than {policy.longest_duration:,} hours")
    return seconds


def format_duration(seconds: float) -> str:
    """Writes seconds the way `parse_duration` reads them, to the second: `1h30m`, `2m05s`, `40s`."""
    minutes, rest = divmod(max(0, round(seconds)), _SECONDS["m"])
    hours, minutes = divmod(minutes, _SECONDS["h"] // _SECONDS["m"])
    if hours:
        return f"{hours}h{minutes:02d}m" + (f"{rest:02d}s" if rest else "")
    if minutes:
        return f"{minutes}m" + (f"{rest:02d}s" if rest else "")
    return f"{rest}s"
