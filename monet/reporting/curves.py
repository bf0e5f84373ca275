"""Loss curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monet.files import written_whole

_PANELS = {
    "Cycle consistency": ("cycle_a", "cycle_b"),
    "Identity": ("identity_a", "identity_b"),
    "Generators, adversarial": ("adversarial_ab", "adversarial_ba"),
    "Discriminators": ("discriminator_a", "discriminator_b"),
}
_LABELS = {
    "cycle_a": "photo → painting → photo",
    "cycle_b": "painting → photo → painting",
    "identity_a": "photo stays a photo",
    "identity_b": "painting stays a painting",
    "adversarial_ab": "photo → painting",
    "adversarial_ba": "painting → photo",
    "discriminator_a": "photos",
    "discriminator_b": "paintings",
}
_COLUMNS = 3
_COLORS = ("#1f5fa8", "#d0692b")


def save_curves(steps: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws the losses, smoothed, and the learning rate over the pairs seen, as a PNG.

    Args:
        steps: what `read_metrics` returned; at least one.
        path: the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawings = panels(steps)
    rows = math.ceil(len(drawings) / _COLUMNS)
    figure = Figure(figsize=(11, 3.5 * rows), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS).flatten()
    for axis, (title, draw) in zip(axes, drawings.items(), strict=False):
        draw(axis)
        axis.set_title(title)
    for axis in axes[len(drawings) :]:
        axis.set_visible(False)
    with written_whole(path) as file:
        FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]


def panels(steps: Sequence[Mapping[str, Any]]) -> dict[str, Callable[[Any], None]]:
    """Lists the plots of a training: a title, and a function that draws on matplotlib's axes.

    Args:
        steps: what `read_metrics` returned; at least one.
    """
    pairs = np.array([step["pairs"] for step in steps], dtype=np.float64)
    losses = {name: np.array([step["losses"].get(name, math.nan) for step in steps]) for name in _LABELS}

    def draw_losses(axis: Any, names: Sequence[str]) -> None:
        for name, color in zip(names, _COLORS, strict=False):
            axis.plot(pairs, losses[name], color=color, alpha=0.15, linewidth=0.6, rasterized=True)
            axis.plot(*thinned(pairs, smoothed(losses[name])), color=color, label=_LABELS[name])
        top = np.nanpercentile([losses[name] for name in names], 99.5) * 1.15
        axis.set_ylim(0, top if top > 0 else None)
        axis.legend(loc="upper right", fontsize=8)
        _finish(axis)

    def draw_rate(axis: Any, name: str) -> None:
        values = np.array([step[name] for step in steps])
        axis.plot(*thinned(pairs[1:], values[1:]), color=_COLORS[0])  # the first speed is not known
        axis.set_ylim(0, None)
        _finish(axis)

    finite = {name for name, values in losses.items() if np.isfinite(values).any()}
    known = {title: [name for name in names if name in finite] for title, names in _PANELS.items()}
    rates = {"Learning rate": "learning_rate", "Pairs a second": "pairs_per_second"}
    return {
        **{title: partial(draw_losses, names=names) for title, names in known.items() if names},
        **{title: partial(draw_rate, name=name) for title, name in rates.items()},
    }


def thinned(
    pairs: NDArray[np.float64], values: NDArray[np.float64], most: int = 600
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns every so many points, so that at most `most` and the last one are left."""
    stride = max(1, len(pairs) // most)
    chosen = np.unique([*range(0, len(pairs), stride), *([len(pairs) - 1] if len(pairs) else [])]).astype(int)
    return pairs[chosen], values[chosen]


def _finish(axis: Any) -> None:
    axis.set_xlabel("pairs")
    axis.grid(alpha=0.25)


def smoothed(values: NDArray[np.float64], share: float = 0.02) -> NDArray[np.float64]:
    """Returns a centred moving average over a share of the points, and at least one; shorter at both ends, and over
    what is known where some values are NaN."""
    reach = max(1, int(len(values) * share)) // 2
    known = np.isfinite(values)
    centres = np.arange(len(values))
    first, end = np.maximum(centres - reach, 0), np.minimum(centres + reach + 1, len(values))
    totals, counts = (np.append(0.0, np.cumsum(numbers)) for numbers in (np.where(known, values, 0.0), known))
    count = counts[end] - counts[first]
    return np.where(count > 0, (totals[end] - totals[first]) / np.maximum(count, 1), np.nan)
