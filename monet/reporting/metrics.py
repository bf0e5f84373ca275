"""Reads `metrics.jsonl`, however long it is, into as many points as a chart can show."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monet.errors import InputError
from monet.files import require_regular

logger = logging.getLogger(__name__)

MOST_POINTS = 4_000
"""Points that `read_metrics` returns at most: more than a chart has pixels."""
_LARGEST = 1e30
"""Numbers from here on are no measurements, and a mean of some of them may be infinite."""
_RATES = ("learning_rate", "pairs_per_second")


def read_metrics(path: Path, most: int = MOST_POINTS) -> list[dict[str, Any]]:
    """Returns the steps in a `metrics.jsonl`, in order; where there are many, neighbours are averaged while they are
    read, so that memory stays small. Torn lines, numbers that cannot be drawn and lines about other things are left
    out; a file that cannot be read has no steps, which is logged.

    Args:
        path: the file.
        most: so many points are never exceeded; an even number.

    Returns:
        For each step, or each few neighbours, `pairs` and `seconds` at their end, and the means of `losses`,
        `learning_rate` and `pairs_per_second`.
    """
    points: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    steps_per_point = 1
    for step in _steps(path):
        waiting.append(step)
        if len(waiting) == steps_per_point:
            points.append(_mean(waiting))
            waiting = []
        if len(points) == most:
            points = [_mean(points[start : start + 2]) for start in range(0, most, 2)]
            steps_per_point *= 2
    return [*points, _mean(waiting)] if waiting else points


def _steps(path: Path) -> Iterator[dict[str, Any]]:
    """Returns the lines that tell of a step."""
    try:
        require_regular(path)
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                with contextlib.suppress(ValueError, RecursionError):
                    values = json.loads(line)
                    if isinstance(values, dict) and _is_step(values):
                        yield values
    except FileNotFoundError:
        return
    except (InputError, OSError) as error:
        logger.warning("no curves: %s", error if isinstance(error, InputError) else f"{path}: {error.strerror}")


def _is_step(values: Mapping[str, Any]) -> bool:
    losses = values.get("losses")
    numbers = [values.get(name) for name in ("pairs", "seconds", *_RATES)]
    return isinstance(losses, dict) and all(can_be_drawn(value) for value in [*numbers, *losses.values()])


def can_be_drawn(value: Any) -> bool:
    """Returns whether a value is a number that a measurement can have."""
    return isinstance(value, int | float) and abs(value) < _LARGEST  # false for what is not a number, as NaN


def _mean(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns several neighbouring steps, or points of equally many steps, as one point."""
    last = steps[-1]
    losses: dict[str, list[float]] = {}
    for step in steps:
        for name, value in step["losses"].items():
            losses.setdefault(name, []).append(value)
    return {
        "pairs": last["pairs"],
        "seconds": last["seconds"],
        **{name: sum(step[name] for step in steps) / len(steps) for name in _RATES},
        "losses": {name: sum(values) / len(values) for name, values in losses.items()},
    }
