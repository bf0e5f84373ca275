"""Gathers what `report.html` shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from monet.errors import InputError
from monet.files import is_json_with, require_output, require_writable, write_text
from monet.ranking.compare import Comparison, RankedCheckpoint
from monet.ranking.verdict import verdict
from monet.reporting.exhibits import photo_jpeg
from monet.reporting.report import Column, Report, Row, is_report, render
from monet.run_folder.folder import RunFolder
from monet.run_folder.report import compared, run_facts, training_steps
from monet.scoring.score import REMARKS
from monet.scoring.scorer import Scorer


def require_places(
    folders: Sequence[Path], report: Path, named: bool, json_file: Path | None, inputs: Sequence[Path]
) -> None:
    """Checks that the report and the numbers of a comparison replace nothing else.

    Args:
        folders: of the runs that are compared.
        report: the page.
        named: a user gave its name.
        json_file: file for the numbers, if any.
        inputs: further files and folders that are read.

    Raises:
        InputError: they do.
    """
    runs = [RunFolder(folder) for folder in folders]
    if named:
        require_output(report, "a report of monet", is_report, inputs)
    require_writable(report)
    for run in runs:
        run.require_apart(report, run.report)
    if json_file:
        require_output(json_file, "a comparison of monet", is_json_with("recommended"), inputs)
        for run in runs:
            run.require_apart(json_file)
        if os.path.realpath(json_file) == os.path.realpath(report):
            raise InputError(f"--json and the report are both {json_file}: give two names")


def write_comparison(comparison: Comparison, scorer: Scorer, path: Path) -> None:
    """Writes the report of a comparison.

    Args:
        comparison: what was found.
        scorer: what it was scored with.
        path: the page.

    Raises:
        MonetError: it cannot be written.
    """
    ranked = comparison.ranked
    in_order = sorted(ranked, key=_in_training_order)
    runs = {found.candidate.run: found.candidate for found in in_order if found.candidate}  # the last of each
    several = len(runs) > 1
    report = Report(
        title=f"Checkpoints of {', '.join(runs)}",
        verdict=verdict(comparison),
        remarks=REMARKS,
        compared=compared(comparison.leader.evaluation, scorer),
        rows=[_row(found, several, found is comparison.leader) for found in ranked],
        unpainted=_row(comparison.unpainted, several, False),
        photo_names=[photo.name for photo in comparison.shown],
        columns=[
            Column(title="photo", images=[photo_jpeg(photo) for photo in comparison.shown]),
            *(
                Column(
                    title=_title(found, several) + (" (best)" if found is comparison.leader else ""),
                    images=found.shown,
                    best=found is comparison.leader,
                )
                for found in in_order
            ),
        ],
        closest={
            _title(found, several): found.closest
            for found in ranked
            if found is comparison.leader or found.tied or found.evaluation.memorized
        },
        runs=[
            run_facts(name, candidate.folder, candidate.config, training_steps(candidate.folder))
            for name, candidate in runs.items()
        ],
    )
    write_text(path, render(report))


def _in_training_order(found: RankedCheckpoint) -> tuple[str, int]:
    return (found.candidate.run, found.candidate.pairs) if found.candidate else ("", 0)


def _title(found: RankedCheckpoint, several: bool) -> str:
    """Returns the checkpoint; with its run where there is more than one."""
    if found.candidate is None or several:
        return found.name
    return found.candidate.path.name


def _row(found: RankedCheckpoint, several: bool, best: bool) -> Row:
    candidate = found.candidate
    return Row(
        run=candidate.run if candidate else "",
        name=_title(found, several),
        epochs=candidate.epochs if candidate else None,
        pairs=candidate.pairs if candidate else None,
        evaluation=found.evaluation,
        behind=found.behind,
        best=best,
        painting_seconds=found.painting_seconds,
        scoring_seconds=found.scoring_seconds,
    )
