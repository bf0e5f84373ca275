"""`report.html`: what a run, or a comparison of runs, came to. One file that opens anywhere, and loads nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from monet.clock import format_duration
from monet.reporting.charts import score_chart, training_charts
from monet.scoring.bootstrap import Interval
from monet.scoring.evaluation import Evaluation


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the ranking."""

    run: str
    """Name of the run; empty for the photos as they are."""
    name: str
    """Of the checkpoint."""
    epochs: float | None = None
    """Epochs seen."""
    pairs: int | None = None
    """Pairs seen."""
    evaluation: Evaluation
    """Its scores."""
    behind: Interval | None = None
    """MiFID less the best one's; None where there is nothing to compare."""
    best: bool = False
    """It is the one to submit."""
    painting_seconds: float
    """Time to paint the photos."""
    scoring_seconds: float
    """Time to score them."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """The shown photos as one checkpoint paints them."""

    title: str
    images: Sequence[bytes]
    """JPEG files, one for each shown photo."""
    best: bool = False
    """It is the one to submit."""


@dataclass(frozen=True, kw_only=True)
class ClosestPainting:
    """A generated image between its photo and the training painting that it comes closest to; JPEG or PNG files."""

    photo: bytes
    painted: bytes
    painting: bytes
    photo_name: str
    painting_name: str
    distance: float


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Facts about the training of a run."""

    name: str
    settings: dict[str, str]
    """Every setting by its dotted name."""
    processes: Sequence[dict[str, Any]]
    """Machine and software of each process, as `environment.json` has them."""
    steps: Sequence[dict[str, Any]]
    """The result of `read_metrics`."""
    samples: bytes | None = None
    """JPEG or PNG: the sample grid of the last epoch, if there is one."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the page shows."""

    title: str
    verdict: Sequence[str]
    """Recommendation and reasons, a sentence a line."""
    remarks: Sequence[str] = ()
    """Remarks shown beside every score."""
    compared: str = ""
    """One sentence about the images that the scores compare."""
    rows: Sequence[Row] = ()
    """The best first."""
    unpainted: Row | None = None
    """The photos as they are."""
    photo_names: Sequence[str]
    """Of the photos that are shown."""
    columns: Sequence[Column]
    """The photos, then each checkpoint."""
    closest: dict[str, Sequence[ClosestPainting]] = field(default_factory=dict)
    """By checkpoint."""
    runs: Sequence[RunFacts]
    """The runs that the checkpoints belong to."""


def render(report: Report) -> str:
    """Returns the page."""
    charts: dict[str, list[tuple[float, Interval]]] = {}
    for row in sorted(report.rows, key=lambda row: row.epochs or 0.0):
        charts.setdefault(row.run, []).append((row.epochs or 0.0, row.evaluation.mifid.interval()))
    unpainted = report.unpainted.evaluation.mifid.interval() if report.unpainted else None
    names = list(dict.fromkeys(name for run in report.runs for name in run.settings))
    return page_template("monet.reporting", "report.html.jinja").render(
        report=report,
        best=next((column for column in report.columns if column.best), None) or next(iter(report.columns[1:]), None),
        score_chart=score_chart(charts, unpainted) if len(report.rows) > 1 else None,
        training={run.name: training_charts(run.steps) for run in report.runs},
        settings=[
            (name, values, len(set(values)) > 1)
            for name in names
            for values in [[run.settings.get(name, "—") for run in report.runs]]
        ],
        training_time={run.name: run.steps[-1]["seconds"] for run in report.runs if run.steps},
        pairs_seen={run.name: run.steps[-1]["pairs"] for run in report.runs if run.steps},
    )


def is_report(path: Path) -> bool:
    """Returns whether a file is a page that `render` made."""
    try:
        with open(path, "rb") as file:
            return b'<meta name="generator" content="monet">' in file.read(1000)
    except OSError:
        return False


def figure(value: float) -> str:
    """Returns a score to four significant digits, with a true minus sign."""
    return f"{value:#.4g}".rstrip(".").replace("-", "−")


def span(interval: Interval) -> str:
    """Returns an interval, as it follows its value."""
    return f"{figure(interval.low)} to {figure(interval.high)}"


@cache
def page_template(package: str, name: str) -> jinja2.Template:
    """Returns a template of a page, or of a part of one; what is put in is no markup.

    Args:
        package: such as `monet.reporting`.
        name: of the file in it.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(figure=figure, span=span, duration=format_duration, image=image_address, svg=svg_address)
    return environment.get_template(name)


def image_address(data: bytes) -> str:
    """Returns a JPEG or PNG file as an address for a page."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def svg_address(drawing: str) -> str:
    """Returns an SVG drawing as an address for a page."""
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"
