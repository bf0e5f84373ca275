"""The results as a table and as a plot."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.recipes.plan import Plan
from tests.benchmarks.recipes.work import Result


def head(feature_layer: str) -> list[str]:
    """Returns the names of the columns; docs/experiments.md says what they mean."""
    columns = ("end", "variant", "seeds", "pairs", "pairs/s", f"FID-{feature_layer}", "less the first")
    return [*columns, "memorization distance", "ms a photo", "machine"]


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Returns the mean and its standard error; NaN for the error of one value."""
    mean = statistics.fmean(values)
    return mean, statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def rows(plan: Plan, results: Sequence[Result]) -> list[list[str]]:
    """Returns a row for each end and variant; differences to the first variant are paired by their seeds."""
    table = []
    for end in plan.ends:
        groups = {name: {found.seed: found for found in _of(plan, results, end, name)} for name in plan.variants}
        first = groups[plan.variants[0]]
        for name, found in groups.items():
            shared = [] if found is first else [seed for seed in found if seed in first]
            if found:
                table.append(_row(end, name, list(found.values()), [found[s].fid - first[s].fid for s in shared]))
    return table


def _of(plan: Plan, results: Sequence[Result], end: str, variant: str) -> list[Result]:
    """Returns the results of a variant at an end, as the plan has them now."""
    keys = {cell.key for cell in plan.cells if (cell.end, cell.variant) == (end, variant)}
    return [result for result in results if result.key in keys]


def _row(end: str, name: str, found: list[Result], differences: list[float]) -> list[str]:
    speed = statistics.fmean(result.pairs / result.seconds for result in found)
    return [
        end,
        name,
        str(len(found)),
        f"{statistics.fmean(result.pairs for result in found):,.0f}",
        f"{speed:.2f}",
        _figure(*mean_and_error([result.fid for result in found])),
        _figure(*mean_and_error(differences), sign="+") if differences else "",
        f"{statistics.fmean(result.memorization_distance for result in found):.4f}",
        f"{1000 * statistics.fmean(result.seconds_a_photo for result in found):.0f}",
        "quiet" if all(result.quiet for result in found) else "NOT QUIET",
    ]


def _figure(mean: float, error: float, sign: str = "") -> str:
    return f"{mean:{sign}.4f}" + ("" if math.isnan(error) else f" ± {error:.4f}")


def draw(plan: Plan, results: Sequence[Result], feature_layer: str, path: Path) -> None:
    """Draws the score of every variant against the time of its training."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    axis = figure.subplots()
    for name in plan.variants:
        points = []
        for end in plan.ends:
            if found := _of(plan, results, end, name):
                mean, error = mean_and_error([result.fid for result in found])
                minutes = statistics.fmean(result.seconds for result in found) / 60
                points.append((minutes, mean, 0.0 if math.isnan(error) else error))
        if points:
            times, means, errors = zip(*sorted(points), strict=True)
            axis.errorbar(times, means, errors, marker="o", capsize=3, label=name)
    axis.set_xlabel("minutes of training")
    axis.set_ylabel(f"FID-{feature_layer}, mean ± standard error over seeds")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    with open(path, "wb") as file:
        FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
