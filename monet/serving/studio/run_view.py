"""A run as the page shows it, from the files in its folder: how far it is, its samples, its scores."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monet.clock import format_duration
from monet.data.decode import UnreadableImage, decode
from monet.data.pixels import to_jpeg
from monet.errors import InputError
from monet.files import require_regular
from monet.reporting.charts import training_charts
from monet.reporting.metrics import can_be_drawn, read_metrics
from monet.reporting.report import page_template
from monet.run_folder.folder import RunFolder
from monet.run_folder.scores import read_scores

_LIVE_SECONDS = 60.0
"""A run whose last step is younger is being trained: steps are seconds apart on the slowest machine."""
_OVER_SECONDS = 1.0
"""Less than that was ahead after the last step of a training that has reached its end."""
_TAIL = 65_536
"""Bytes at the end of the metrics that hold the last step."""
_QUALITY = 90
"""Of sample grids on the page."""


@dataclass(frozen=True)
class LastStep:
    """The last step of a run."""

    pairs: int
    """Pairs seen."""
    seconds: float
    """Training time."""
    progress: float
    """Share of the horizon, 0 to 1."""
    rate: float
    """Pairs a second."""
    time_left: float
    """Seconds of training that were ahead."""
    losses: dict[str, float]
    """By name."""
    age: float
    """Seconds since it was taken."""

    @property
    def is_live(self) -> bool:
        """The run is being trained."""
        return self.age < _LIVE_SECONDS and not self.is_over

    @property
    def is_over(self) -> bool:
        """Nothing is left of the training, as far as the step could know."""
        return self.progress >= 1 or self.time_left < _OVER_SECONDS

    @property
    def headline(self) -> str:
        """How the run is, in a few words."""
        if self.is_live:
            return f"training, {format_duration(self.time_left)} left"
        ago = f"last step {format_duration(self.age)} ago"
        return f"the training is over; {ago}" if self.is_over else f"not being trained; {ago}"


def last_step(run: RunFolder, now: float) -> LastStep | None:
    """Returns the last step of a run; None where it has none that can be read.

    Args:
        run: its folder.
        now: seconds since 1970.
    """
    try:
        require_regular(run.metrics)
        with open(run.metrics, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines, age = file.read().splitlines(), now - os.fstat(file.fileno()).st_mtime
    except (OSError, InputError):
        return None
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return _step(json.loads(line), max(0.0, age))
    return None


def status_page(run: RunFolder, now: float) -> str:
    """Returns how far a run is, as HTML."""
    return _rendered("status.html.jinja", step=last_step(run, now))


def sample_page(path: Path | None) -> str:
    """Returns a sample grid as HTML; that there is none, where it is absent or being written."""
    try:
        grid = to_jpeg(decode(path), _QUALITY) if path else None
    except UnreadableImage:
        grid = None
    return _rendered("sample.html.jinja", grid=grid, name=path.stem if path else "")


def charts_page(run: RunFolder) -> str:
    """Returns the curves of a run, as HTML."""
    return _rendered("charts.html.jinja", charts=training_charts(read_metrics(run.metrics)))


def scores_page(run: RunFolder) -> str:
    """Returns the scores of a run, as HTML: of each checkpoint and each way of scoring the last one, the best first.

    Raises:
        InputError: they cannot be read.
    """
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for values in read_scores(run.scores):
        last[values["checkpoint"], json.dumps(values["basis"], sort_keys=True)] = values
    rows = sorted((values for values in last.values() if _has_intervals(values)), key=lambda values: values["mifid"])
    return _rendered("scores.html.jinja", rows=rows)


def report_page(run: RunFolder) -> str:
    """Returns the report of a run as a frame without any rights but that of its own slider, or that there is none."""
    try:
        require_regular(run.report)
        page = run.report.read_text(encoding="utf-8", errors="replace")
    except (OSError, InputError):
        page = ""
    return _rendered("report-frame.html.jinja", page=page, name=run.path.name)


def _step(values: dict[str, Any], age: float) -> LastStep:
    """Returns the step that a line tells of.

    Raises:
        ValueError: it tells of something else, or of numbers that cannot be.
    """
    names = ("pairs", "seconds", "progress", "pairs_per_second", "time_left")
    numbers = [values[name] for name in names]
    if not all(can_be_drawn(value) and value >= 0 for value in numbers):
        raise ValueError("no step")
    shown = {str(name): value for name, value in values["losses"].items() if can_be_drawn(value)}
    pairs, seconds, progress, rate, left = numbers
    return LastStep(int(pairs), seconds, min(1.0, progress), rate, left, shown, age)


def _has_intervals(values: dict[str, Any]) -> bool:
    names = ("fid", "fid_low", "fid_high", "mifid", "mifid_low", "mifid_high", "memorization_distance", "epochs")
    return all(can_be_drawn(values.get(name)) for name in names)


def _rendered(template: str, /, **values: Any) -> str:
    return page_template("monet.serving.studio", template).render(**values)
