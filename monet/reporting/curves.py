"""Loss curves from `metrics.jsonl`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
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
_COLORS = ("#1f5fa8", "#d0692b")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The steps in a `metrics.jsonl`, in order; a torn last line and lines about other things are left out."""
    steps = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                values = json.loads(line)
            except json.JSONDecodeError:
                continue
            if "losses" in values:
                steps.append(values)
    return steps


def save_curves(steps: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws the losses, smoothed, and the learning rate over the pairs seen, as a PNG.

    Args:
        steps: what `read_metrics` returned.
        path: the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pairs = np.array([step["pairs"] for step in steps], dtype=np.float64)
    losses = {name: np.array([step["losses"].get(name, math.nan) for step in steps]) for name in _LABELS}
    panels = {title: names for title, names in _PANELS.items() if np.isfinite(losses[names[0]]).any()}
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 3).flatten()
    for axis, (title, names) in zip(axes, panels.items(), strict=False):
        for name, color in zip(names, _COLORS, strict=True):
            axis.plot(pairs, losses[name], color=color, alpha=0.15, linewidth=0.6)
            axis.plot(pairs, smoothed(losses[name]), color=color, label=_LABELS[name])
        top = np.nanpercentile([losses[name] for name in names], 99.5) * 1.15
        axis.set_ylim(0, top if top > 0 else None)
        axis.set_title(title)
        axis.legend(loc="upper right", fontsize=8)
    rates = {"Learning rate": "learning_rate", "Pairs a second": "pairs_per_second"}
    for axis, (title, name) in zip(axes[len(panels) :], rates.items(), strict=False):
        axis.plot(pairs[1:], [step[name] for step in steps[1:]], color=_COLORS[0])  # the first speed is not known
        axis.set_ylim(0, None)
        axis.set_title(title)
    for axis in axes[: len(panels) + len(rates)]:
        axis.set_xlabel("pairs")
        axis.grid(alpha=0.25)
    for axis in axes[len(panels) + len(rates) :]:
        axis.set_visible(False)
    with written_whole(path) as file:
        FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]


def smoothed(values: NDArray[np.float64], share: float = 0.02) -> NDArray[np.float64]:
    """A centred moving average over a share of the points, and at least one; shorter at both ends."""
    width = max(1, int(len(values) * share)) | 1
    weights = np.ones(width)
    count = np.convolve(np.ones(len(values)), weights, mode="same")
    return np.convolve(values, weights, mode="same") / count
