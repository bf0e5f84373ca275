"""python -m tests.benchmarks.recipes"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from monet.api import default_context
from monet.data.layout import Layout, find_layout
from monet.errors import MonetError
from monet.scoring.options import ScoreOptions
from monet.scoring.scorer import Scorer
from tests.benchmarks import recipes
from tests.benchmarks.measure import print_table
from tests.benchmarks.recipes.plan import Cell, read_plan
from tests.benchmarks.recipes.sheet import draw_sheet
from tests.benchmarks.recipes.table import HEAD, draw, rows
from tests.benchmarks.recipes.training import Parts, train
from tests.benchmarks.recipes.work import Result, Results, fill, paint_and_score

_ON_THE_SHEET = 12
"""Photos, evenly spaced among all."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fills in what is missing of a plan, and prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.recipes",
        description=recipes.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("plan", type=Path, metavar="PLAN", help="a YAML file as above")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the competition's folder")
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="for runs, results, table and plot")
    parser.add_argument("--every", type=int, default=7, metavar="N", help="score every Nth photo (default: 7)")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="trainings side by side (default: 1)")
    parser.add_argument("--feature-layer", default="2048", choices=["2048", "768", "192", "64"])
    parser.add_argument("--inception-weights", type=Path, metavar="FILE", help="by default torch-fidelity's release")
    parser.add_argument("--table", action="store_true", help="train nothing; show what is known")
    options = parser.parse_args(arguments)
    try:
        plan = read_plan(options.plan)
        options.folder.mkdir(parents=True, exist_ok=True)
        results = Results(options.folder / "results.jsonl")
        layout = find_layout(options.data)
        if not options.table:
            _fill(options, plan.cells, results, layout)
        painted = layout.to_paint[:: max(1, len(layout.to_paint) // _ON_THE_SHEET)][:_ON_THE_SHEET]
        draw_sheet(plan.cells, options.folder, painted, options.folder / "paintings.png")
    except MonetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    table = rows(plan, results.all)
    print_table(list(HEAD), table)
    if table:
        draw(plan, results.all, options.folder / "scores.png")
    return 0


def _fill(options: argparse.Namespace, cells: Sequence[Cell], results: Results, layout: Layout) -> None:
    photos = layout.to_paint[:: options.every]
    score = ScoreOptions(feature_layer=options.feature_layer, inception_weights=options.inception_weights)
    scorer = score.scorer(layout.paintings[0].parent, default_context(), device=torch.device("cpu"))
    scorer.prepare()

    def do(wave: Sequence[Cell]) -> list[Result]:
        return _trained_and_scored(wave, options, photos, scorer)

    fill(cells, results, options.at_once, do)


def _trained_and_scored(
    wave: Sequence[Cell], options: argparse.Namespace, photos: Sequence[Path], scorer: Scorer
) -> list[Result]:
    folder = options.folder
    train(wave, options.data, folder)
    return [paint_and_score(cell, folder, photos, scorer, Parts(cell, folder).company()) for cell in wave]


if __name__ == "__main__":
    sys.exit(main())
