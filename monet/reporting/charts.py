"""Charts as SVG, for a page."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monet.reporting.curves import panels
from monet.scoring.bootstrap import Interval

_PALETTE = ("#1f5fa8", "#d0692b", "#3d8f5a", "#8a4fa3", "#b08900", "#2a9aa0")


def score_chart(runs: Mapping[str, Sequence[tuple[float, Interval]]], unpainted: Interval | None) -> str:
    """Scores over the epochs, a line a run, with their intervals.

    Args:
        runs: (epochs, score) of each checkpoint, by the run's name.
        unpainted: score of the photos as they are.
    """

    def draw(axis: Any) -> None:
        if unpainted:
            axis.axhline(unpainted.value, color="#777777", linestyle="--", linewidth=1, label="photos, unpainted")
        for (name, points), color in zip(runs.items(), _PALETTE * len(runs), strict=False):
            epochs, scores = [epoch for epoch, _ in points], [score for _, score in points]
            reach = [
                [max(0.0, score.value - score.low) for score in scores],
                [max(0.0, score.high - score.value) for score in scores],
            ]
            values = [score.value for score in scores]
            axis.errorbar(epochs, values, reach, color=color, marker="o", markersize=4, capsize=3, label=_plain(name))
        axis.set_xlabel("epochs")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_ylabel("MiFID (lower is better)")
        axis.grid(alpha=0.25)
        axis.legend(fontsize=9)

    return _svg(draw, (6.4, 3.8))


def training_charts(steps: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the curves of a training, a chart for each title.

    Args:
        steps: what `read_metrics` returned; none give no charts.
    """
    return {title: _svg(draw, (4.2, 2.8)) for title, draw in panels(steps).items()} if steps else {}


def _plain(name: str) -> str:
    """Returns a name as a label: matplotlib takes dollars for mathematics, and leaves out what begins with an
    underscore."""
    return f" {name}".replace("$", r"\$")


def _svg(draw: Callable[[Any], None], size: tuple[float, float]) -> str:
    """Draws on axes of a size in inches."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    file = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "monet", "font.family": "sans-serif"}):
        figure = Figure(figsize=size, dpi=100, layout="constrained")
        draw(figure.subplots())
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return file.getvalue().decode()
