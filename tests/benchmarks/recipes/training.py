"""Trains the cells of a plan, and continues those that were broken off."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from monet import checkpoint
from monet.errors import InputError
from monet.training.stored import load_checkpoint
from tests.benchmarks.recipes.plan import Cell
from tests.benchmarks.recipes.quiet import UNKNOWN, Company, Observer, together

_FINISHED = 1.0


class Parts:
    """What was observed of the processes that trained a cell, a line each in a file beside its folder.

    Args:
        cell: the cell.
        folder: where its folder is.
    """

    def __init__(self, cell: Cell, folder: Path) -> None:
        self._key = cell.key
        self._path = folder / f"{cell.name}.jsonl"

    @property
    def known(self) -> bool:
        """What was trained under the cell's name is this cell, not one that the plan had before."""
        lines = self._lines()
        return bool(lines) and all(line["key"] == self._key for line in lines)

    def begin(self) -> None:
        """A process begins."""
        self._add({"key": self._key})

    def end(self, company: Company) -> None:
        """The process has ended, and this was at work beside it."""
        self._add({"key": self._key, "company": asdict(company)})

    def forget(self) -> None:
        """The training begins anew."""
        self._path.unlink(missing_ok=True)

    def company(self) -> Company:
        """Returns what was at work beside all the processes; unknown where one was not observed to its end."""
        lines = self._lines()
        parts = [Company(**line["company"]) for line in lines if "company" in line]
        return together(parts) if parts and 2 * len(parts) == len(lines) else UNKNOWN

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines()] if self._path.exists() else []

    def _add(self, line: dict[str, Any]) -> None:
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def train(cells: Sequence[Cell], data: Path, folder: Path) -> None:
    """Trains those of the cells that are not trained yet, at the same time, each on its share of the processors.

    A training that was broken off is continued, unless its end is that of a submission, whose clock counts no more.

    Raises:
        InputError: a training failed; its own message says why.
    """
    processors = sorted(os.sched_getaffinity(0))
    share = len(processors) // len(cells)
    missing = [cell for cell in cells if not is_trained(cell, folder)]
    if not missing:
        return
    continued = {cell: _prepared(cell, folder) for cell in missing}
    observer = Observer()
    try:
        with contextlib.ExitStack() as stack:
            started = [
                stack.enter_context(
                    _started(cell, data, folder, processors[number * share : (number + 1) * share], continued[cell])
                )
                for number, cell in enumerate(missing)
            ]
            codes = [process.wait() for process in started]
    finally:
        company = observer.company()
        for cell in missing:
            Parts(cell, folder).end(company)
    for cell, code in zip(missing, codes, strict=True):
        if code:
            last = (folder / f"{cell.name}.log").read_text(encoding="utf-8").strip().splitlines()[-1:]
            raise InputError(f"{cell.name} failed with exit code {code}: {' '.join(last)}")


def _prepared(cell: Cell, folder: Path) -> bool:
    """Makes room for a training, and returns whether it continues one."""
    run, parts = folder / cell.name, Parts(cell, folder)
    continues = (run / "checkpoints" / checkpoint.LAST).exists() and parts.known and not cell.submits
    if not continues:
        parts.forget()
        if run.exists():
            shutil.rmtree(run)
    parts.begin()
    return continues


def _started(cell: Cell, data: Path, folder: Path, processors: list[int], continues: bool) -> subprocess.Popen[bytes]:
    command = ["pipelines.submit", "--score", "no"] if cell.submits else ["pipelines.train"]
    words = ["--data", str(data), "--run", str(folder / cell.name), "--recipe", cell.recipe, *cell.words]
    with open(folder / f"{cell.name}.log", "ab" if continues else "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *command, *words, *(["--resume"] if continues else [])],
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        )


def is_trained(cell: Cell, folder: Path) -> bool:
    """Returns whether the cell's training has come to its end.

    Raises:
        InputError: its checkpoint cannot be read: that is not overwritten.
    """
    last = folder / cell.name / "checkpoints" / checkpoint.LAST
    return (
        last.exists() and Parts(cell, folder).known and bool(load_checkpoint(last)["counters"]["progress"] >= _FINISHED)
    )
