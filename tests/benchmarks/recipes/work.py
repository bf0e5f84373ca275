"""Scores what the trained cells of a plan paint, and keeps the results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from monet.config import from_dict
from monet.errors import InputError
from monet.generation.painter import make_painter
from monet.models import generator_from_checkpoint
from monet.run_folder.folder import RunFolder
from monet.scoring.scorer import Scorer
from monet.training.stored import load_checkpoint
from tests.benchmarks.recipes.plan import Cell
from tests.benchmarks.recipes.quiet import Company


@dataclass(frozen=True)
class Scored:
    """What a score is of."""

    every: int
    """Every Nth photo."""
    feature_layer: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a cell came to."""

    key: str
    variant: str
    end: str
    seed: int
    pairs: int
    seconds: float
    """Training time."""
    fid: float
    mifid: float
    memorization_distance: float
    kid: float
    seconds_a_photo: float
    quiet: bool
    """Nothing else computed meanwhile."""
    others: float
    """Share of the processors' time that other programs took."""
    flops: float
    """The machine's best rate before, in FLOP/s."""
    scored: Scored


def paint_and_score(
    cell: Cell, folder: Path, photos: Sequence[Path], scorer: Scorer, scored: Scored, company: Company
) -> Result:
    """Scores the checkpoint that a cell has trained by the photos that it paints."""
    contents = load_checkpoint(RunFolder(folder / cell.name).last)
    counters = contents["counters"]
    painter = make_painter(
        generator_from_checkpoint(contents),
        from_dict(contents["config"]).generation,
        device=torch.device("cpu"),
        precision=contents["precision"],
    )
    archive = folder / f"{cell.name}.zip"
    begun = time.perf_counter()
    painter.paint_archive(list(photos), archive)
    seconds = (time.perf_counter() - begun) / len(photos)
    score = scorer.evaluate(archive).score
    archive.unlink()
    return Result(
        key=cell.key,
        variant=cell.variant,
        end=cell.end,
        seed=cell.seed,
        pairs=counters["pairs"],
        seconds=counters["seconds"],
        fid=score.fid,
        mifid=score.mifid,
        memorization_distance=score.memorization_distance,
        kid=score.kid_mean,
        seconds_a_photo=seconds,
        quiet=company.quiet,
        others=company.share,
        flops=company.before,
        scored=scored,
    )


class Results:
    """The results that are known, a line each in a file.

    Args:
        path: the file.
        scored: what the scores are of; results of others are left out.

    Raises:
        InputError: a line of the file is no result.
    """

    def __init__(self, path: Path, scored: Scored) -> None:
        self._path = path
        lines = path.read_bytes().splitlines() if path.exists() else []
        found = [_result(line, f"line {number} of {path}") for number, line in enumerate(lines, 1)]
        self.all = [result for result in found if result.scored == scored]

    def known(self, cell: Cell) -> bool:
        """Returns whether a cell has a result."""
        return any(result.key == cell.key for result in self.all)

    def add(self, result: Result) -> None:
        """Keeps a result."""
        self.all.append(result)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")


def _result(line: bytes, where: str) -> Result:
    try:
        values = json.loads(line)
        return Result(**{**values, "scored": Scored(**values["scored"])})
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{where} is no result ({error}): remove it, and its score is computed again") from error


def fill(
    cells: Sequence[Cell],
    results: Results,
    at_once: int,
    do: Callable[[Sequence[Cell]], Sequence[Result]],
    say: Callable[[str], Any] = print,
) -> None:
    """Does the cells that have no result yet, some at once."""
    missing = [cell for cell in cells if not results.known(cell)]
    for start in range(0, len(missing), at_once):
        wave = missing[start : start + at_once]
        say(f"{len(missing) - start} to go: {', '.join(cell.name for cell in wave)}")
        for result in do(wave):
            results.add(result)
            say(
                f"  {result.variant}, {result.end}, seed {result.seed}: FID {result.fid:.3f} after "
                f"{result.pairs:,} pairs{'' if result.quiet else ', NOT QUIET'}"
            )
