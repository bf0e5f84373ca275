"""Trains the cells of a plan, and continues those that were broken off."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from monet.errors import InputError
from monet.run_folder.folder import RunFolder
from monet.run_folder.lock import RunLock
from monet.training.stored import load_checkpoint
from tests.benchmarks.recipes.plan import Cell
from tests.benchmarks.recipes.quiet import UNKNOWN, Company, Observer

_FINISHED = 1.0


def train(cells: Sequence[Cell], data: Path, folder: Path, at_once: int) -> Company:
    """Trains those of the cells that are not trained yet, at the same time, each on its share of the processors.

    A training that was broken off is continued. One of a whole submission begins anew: it has one budget, and part of
    that is spent.

    Args:
        cells: at most `at_once`.
        data: what they train on.
        folder: each has a folder and a log there.
        at_once: shares that the processors are divided into, however many cells there are.

    Returns:
        What else was at work meanwhile; unknown where a part of it was trained before.

    Raises:
        InputError: a training failed, and its own message says why, or did not reach its end; another process trains
            one of them.
    """
    missing = [cell for cell in cells if not is_trained(cell, folder)]
    if not missing:
        return UNKNOWN
    processors = sorted(os.sched_getaffinity(0))
    share = len(processors) // at_once
    anew = [_prepared(cell, folder) for cell in missing]
    observer = Observer()
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(_started(cell, data, folder, processors[number * share : (number + 1) * share]))
            for number, cell in enumerate(missing)
        ]
        codes = [process.wait() for process in started]
    company = observer.company()
    for cell, code in zip(missing, codes, strict=True):
        log = folder / f"{cell.name}.log"
        if code:
            RunFolder(folder / cell.name).archive.unlink(missing_ok=True)  # one that is not valid
            last = log.read_text(encoding="utf-8").strip().splitlines()[-1:]
            raise InputError(f"{cell.name} failed with exit code {code}: {' '.join(last)}")
        if not is_trained(cell, folder):
            raise InputError(f"{cell.name} ended before its end ({cell.end}): {log} says why")
    return company if len(missing) == len(cells) and all(anew) else UNKNOWN


def is_trained(cell: Cell, folder: Path) -> bool:
    """Returns whether the cell's training has come to its end; that of a whole submission, when its archive is written.

    Raises:
        InputError: its checkpoint cannot be read: that is not overwritten.
    """
    run = RunFolder(folder / cell.name)
    if cell.submits:
        return run.archive.exists()
    return run.last.exists() and bool(load_checkpoint(run.last)["counters"]["progress"] >= _FINISHED)


def _prepared(cell: Cell, folder: Path) -> bool:
    """Makes room for a training that has to begin anew, and returns whether it does."""
    run = RunFolder(folder / cell.name)
    if run.last.exists() and not cell.submits:
        return False
    if run.path.exists():
        RunLock(run.path, {}).release()  # refused where a process still trains there
        shutil.rmtree(run.path)
    return True


@contextlib.contextmanager
def _started(cell: Cell, data: Path, folder: Path, processors: list[int]) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a training, which ends before this does. It has a session of its own, so that Ctrl-C reaches it once."""
    command = ["pipelines.submit", "--score", "no"] if cell.submits else ["pipelines.train", "--resume"]
    words = ["--data", str(data), "--run", str(folder / cell.name), "--recipe", cell.recipe, *cell.words]
    with open(folder / f"{cell.name}.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *words],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        )
    try:
        yield process
    finally:
        process.terminate()  # nothing happens to one that has ended
        process.wait()
