"""python -m tests.benchmarks.recipes"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import torch

from monet.api import default_context
from monet.data.layout import Layout, find_layout
from monet.errors import InputError, MonetError
from monet.locks import Held, NoLocks, open_locked
from monet.machine import available_processors
from monet.scoring.options import ScoreOptions
from tests.benchmarks import recipes
from tests.benchmarks.measure import print_table
from tests.benchmarks.recipes.plan import Cell, read_plan
from tests.benchmarks.recipes.sheet import draw_sheet
from tests.benchmarks.recipes.table import draw, head, rows
from tests.benchmarks.recipes.training import train
from tests.benchmarks.recipes.work import Result, Results, Scored, fill, paint_and_score

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
    parser.add_argument("--table", action="store_true", help="train nothing; show what is known, also while it trains")
    options = parser.parse_args(arguments)
    try:
        with contextlib.nullcontext() if options.table else _locked(options.folder):
            _work(options)
    except MonetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _locked(folder: Path) -> IO[bytes]:
    """Makes a bench's folder, and keeps other benches out of it.

    Raises:
        InputError: one is at work there, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return open_locked(folder / ".lock")
    except (Held, NoLocks) as error:
        raise InputError(f"{folder} is in use by another bench, or its file system has no locks ({error})") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written to ({error.strerror}): give another --folder") from error


def _work(options: argparse.Namespace) -> None:
    plan, layout = read_plan(options.plan), find_layout(options.data)
    if not 1 <= options.at_once <= available_processors():
        raise InputError(f"--at-once is {options.at_once}: give 1 to {available_processors()}, a processor each")
    if not 1 <= options.every <= len(layout.to_paint) // 2:
        raise InputError(f"--every is {options.every}: give 1 to {len(layout.to_paint) // 2}, for two photos or more")
    scored = Scored(options.every, options.feature_layer)
    results = Results(options.folder / "results.jsonl", scored)
    if not options.table:
        _require_same_data(options.folder / "data.txt", options.data)
        _fill(options, plan.cells, results, layout, scored)
    if table := rows(plan, results.all):
        print_table(head(options.feature_layer), table)
        draw(plan, results.all, options.feature_layer, options.folder / "scores.png")
    painted = layout.to_paint[:: max(1, len(layout.to_paint) // _ON_THE_SHEET)][:_ON_THE_SHEET]
    draw_sheet(plan.cells, options.folder, painted, options.folder / "paintings.png")


def _require_same_data(path: Path, data: Path) -> None:
    """Checks that all in a bench's folder is of the same data.

    Raises:
        InputError: it is not.
    """
    here = str(data.resolve())
    if not path.exists():
        path.write_text(here, encoding="utf-8")
    elif (there := path.read_text(encoding="utf-8").strip()) != here:
        raise InputError(f"{path.parent} is of --data {there}, not {here}: give another --folder")


def _fill(options: argparse.Namespace, cells: Sequence[Cell], results: Results, layout: Layout, scored: Scored) -> None:
    photos = layout.to_paint[:: options.every]
    score = ScoreOptions(feature_layer=options.feature_layer, inception_weights=options.inception_weights)
    scorer = score.scorer(layout.paintings[0].parent, default_context(), device=torch.device("cpu"))
    scorer.prepare()

    def do(wave: Sequence[Cell]) -> list[Result]:
        company = train(wave, options.data, options.folder, options.at_once)
        return [paint_and_score(cell, options.folder, photos, scorer, scored, company) for cell in wave]

    fill(cells, results, options.at_once, do)


if __name__ == "__main__":
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) != signal.SIG_IGN:
            signal.signal(ending, signal.default_int_handler)  # as Ctrl-C: trainings are ended, too
    sys.exit(main())
