"""Gathers what `report.html` shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monet.config import Config, flat, to_dict
from monet.files import write_text
from monet.reporting.metrics import read_metrics
from monet.reporting.report import Column, Report, Row, RunFacts, render
from monet.scoring.evaluation import Evaluation
from monet.workflow.compare import Comparison, RankedCheckpoint
from monet.workflow.evaluate import Scorer
from monet.workflow.exhibits import choose_shown, closest_pictures, painted, photo_jpeg
from monet.workflow.run_folder import RunFolder
from monet.workflow.side_products import side_product
from monet.workflow.verdict import remarks, verdict


def write_comparison(comparison: Comparison, scorer: Scorer, path: Path) -> None:
    """Writes the report of a comparison.

    Args:
        comparison: what was found.
        scorer: what it was scored with.
        path: the page.

    Raises:
        MonetError: it cannot be written.
    """
    contenders = comparison.contenders
    in_order = sorted(contenders, key=_in_training_order)
    runs = {found.candidate.run: found.candidate for found in in_order if found.candidate}  # the last of each
    several = len(runs) > 1
    report = Report(
        title=f"Checkpoints of {', '.join(runs)}",
        verdict=verdict(comparison),
        remarks=remarks(),
        compared=_compared(comparison.leader.evaluation, scorer),
        rows=[_row(found, several, found is comparison.leader) for found in contenders],
        unpainted=_row(comparison.unpainted, several, False),
        photo_names=[photo.name for photo in comparison.shown],
        columns=[
            Column(title="photo", images=[photo_jpeg(photo) for photo in comparison.shown]),
            *(
                Column(
                    title=_title(found, several) + (" (best)" if found is comparison.leader else ""),
                    images=found.shown,
                )
                for found in in_order
            ),
        ],
        closest={
            _title(found, several): found.closest
            for found in contenders
            if found is comparison.leader or found.tied or found.evaluation.memorized
        },
        runs=[
            run_facts(name, candidate.folder, candidate.config, training_steps(candidate.folder))
            for name, candidate in runs.items()
        ],
    )
    write_text(path, render(report))


def write_submission(
    folder: RunFolder,
    config: Config,
    archive: Path,
    photos: Sequence[Path],
    verdict: Sequence[str],
    row: Row | None = None,
    scorer: Scorer | None = None,
    steps: Sequence[dict[str, Any]] = (),
) -> None:
    """Writes the report of one run.

    Args:
        folder: of the run.
        config: of the run.
        archive: the paintings.
        photos: what was painted, in this order.
        verdict: what came of it, a sentence or two a line.
        row: the score, if there is one.
        scorer: what it was scored with.
        steps: of its training; see `training_steps`.

    Raises:
        MonetError: it cannot be written.
    """
    name, shown = folder.path.name, choose_shown(photos)
    report = Report(
        title=f"Run {name}",
        verdict=verdict,
        remarks=remarks(),
        compared=_compared(row.evaluation, scorer) if row and scorer else "",
        rows=[row] if row else [],
        photo_names=[photo.name for photo in shown],
        columns=[
            Column(title="photo", images=[photo_jpeg(photo) for photo in shown]),
            Column(title="painted", images=painted(archive, photos, shown)),
        ],
        closest={row.name: closest_pictures(archive, photos, row.evaluation, scorer.paintings)}
        if row and scorer
        else {},
        runs=[run_facts(name, folder, config, steps)],
    )
    write_text(folder.report, render(report))


def _compared(found: Evaluation, scorer: Scorer) -> str:
    score = found.score
    return (
        f"{score.num_generated:,} painted photos against the {score.num_reference:,} images in "
        f"{scorer.reference.name}, layer {found.feature_layer} of Inception, ε = {score.epsilon:g}, "
        f"{len(found.fid.draws)} resamplings; lower is better, but for the memorization distance."
    )


def training_steps(folder: RunFolder) -> list[dict[str, Any]]:
    """Returns the steps of a run, as `read_metrics` does; none where they cannot be read."""
    steps: list[dict[str, Any]] = []
    if folder.metrics.exists():
        with side_product(f"what {folder.metrics} shows"):
            steps = read_metrics(folder.metrics)
    return steps


def run_facts(name: str, folder: RunFolder, config: Config, steps: Sequence[dict[str, Any]]) -> RunFacts:
    """Returns the facts about a run."""
    return RunFacts(
        name=name,
        settings={name: "—" if value is None else str(value) for name, value in flat(to_dict(config)).items()},
        processes=folder.processes(),
        steps=steps,
    )


def _in_training_order(found: RankedCheckpoint) -> tuple[str, int]:
    return (found.candidate.run, found.candidate.pairs) if found.candidate else ("", 0)


def _title(found: RankedCheckpoint, several: bool) -> str:
    """The checkpoint; with its run where there is more than one."""
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
