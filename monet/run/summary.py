"""What a submission came to, in sentences and as a picture."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from monet import archive
from monet.clock import format_duration
from monet.data.decode import decode
from monet.data.stream import Purpose, permutation
from monet.reporting.grids import image_grid
from monet.reporting.report import figure, span
from monet.run.paint_job import PaintJob
from monet.scoring.evaluation import Evaluation
from monet.sizes import SIDE

_CHOICE = 1
"""Index of the random choice of photos; sample grids have 0, reports 2."""
_GRID_ROWS, _GRID_PAIRS = 4, 3
"""The grid of generated images: rows, and photos with their paintings in a row."""


def result_lines(
    job: PaintJob, path: Path, validation: archive.Validation | None, rules: archive.Rules, scored: str
) -> list[str]:
    """Returns the result of a submission, a sentence a line.

    Args:
        job: what was painted, and with what.
        path: the archive.
        validation: of the archive; None where that failed.
        rules: those that the archive was checked against.
        scored: the sentence about its score.
    """
    by = "by the kaggle rules" if rules == "kaggle" else "as an archive of images"
    checked = f"{'valid' if validation.valid else 'NOT VALID'} {by}" if validation else "not checked"
    outcome = job.outcome
    lines = [f"trained on {outcome.pairs:,} pairs in {format_duration(outcome.seconds)} ({outcome.decay})"]
    if job.painted_with:
        lines.append(f"painted with {job.painted_with.path}, as asked for")
    lines.append(f"wrote {path}: {len(job.photos):,} images, {checked}")
    if job.skipped:
        lines.append(f"left out, because they cannot be read: {', '.join(str(bad.path) for bad in job.skipped)}")
    return [*lines, scored]


def score_line(evaluation: Evaluation) -> str:
    """Returns a score as a sentence."""
    mifid, score = evaluation.mifid.interval(), evaluation.score
    return (
        f"MiFID {figure(mifid.value)} (95 %: {span(mifid)}), FID {figure(score.fid)}, memorization distance "
        f"{figure(score.memorization_distance)}, layer {evaluation.feature_layer}"
    )


def generated_grid(photos: tuple[Path, ...], path: Path, seed: int) -> Image.Image:
    """Draws photos chosen at random beside their paintings. A last row that is not full is left out.

    Args:
        photos: in the order in which they were painted.
        path: the archive.
        seed: of the choice.
    """
    chosen = permutation(seed, Purpose.SAMPLE_GRID, _CHOICE, len(photos))[: _GRID_ROWS * _GRID_PAIRS]
    names = archive.member_names(photos)
    with zipfile.ZipFile(path) as images:
        shown = [
            pixels
            for index in chosen
            for pixels in (
                decode(photos[index], SIDE),
                np.asarray(Image.open(io.BytesIO(images.read(names[index])))),
            )
        ]
    columns = 2 * min(_GRID_PAIRS, len(chosen))
    rows = [shown[start : start + columns] for start in range(0, len(shown) - columns + 1, columns)]
    return image_grid(rows, ["photo", "painted"] * (columns // 2), group=2)
