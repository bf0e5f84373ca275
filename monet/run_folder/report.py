"""The report of one run, and what reports of several show of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monet.config import Config, flat, to_dict
from monet.data.decode import UnreadableImage, decode
from monet.data.pixels import to_jpeg
from monet.files import write_text
from monet.reporting.curves import save_curves
from monet.reporting.exhibits import choose_shown, closest_pictures, painted, photo_jpeg
from monet.reporting.metrics import read_metrics
from monet.reporting.report import Column, Report, Row, RunFacts, render
from monet.run_folder.folder import RunFolder
from monet.scoring.evaluation import Evaluation
from monet.scoring.score import REMARKS
from monet.scoring.scorer import Scorer
from monet.side_products import side_product

_QUALITY = 88
"""Of the samples in a page, which are for the eye alone."""


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
        verdict: the result, a sentence or two a line.
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
        remarks=REMARKS,
        compared=compared(row.evaluation, scorer) if row and scorer else "",
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


def compared(found: Evaluation, scorer: Scorer) -> str:
    """Returns one sentence about what a score compares."""
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
        samples=_last_samples(folder),
    )


def draw_curves(folder: RunFolder, steps: Sequence[dict[str, Any]]) -> None:
    """Draws the curves of a run, if it has any; the archive comes first.

    Args:
        folder: of the run.
        steps: what `training_steps` returned.
    """
    if steps:
        with side_product(str(folder.curves)):
            save_curves(steps, folder.curves)


def _last_samples(folder: RunFolder) -> bytes | None:
    """Returns the last sample grid of a run as a JPEG file; None where it has none that can be read."""
    grids = folder.sample_grids()
    if not grids:
        return None
    try:
        return to_jpeg(decode(grids[max(grids)]), _QUALITY)
    except UnreadableImage:
        return None
