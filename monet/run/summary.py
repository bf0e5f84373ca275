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
from monet.run.train import Trained
from monet.scoring.evaluation import Evaluation
from monet.sizes import SIDE

_GRID_ROWS, _GRID_PAIRS = 4, 3
"""The grid of generated images: rows, and photos with their paintings in a row."""


def result_lines(
    trained: Trained, path: Path, validation: archive.Validation | None, rules: archive.Rules, scored: str
) -> list[str]:
    """Returns the result of a submission, a sentence a line.

    Args:
        trained: what painted.
        path: the archive.
        validation: of it, where that could be done.
        rules: that it was checked against.
        scored: the sentence about its score.
    """
    checked = f"{'valid' if validation.valid else 'NOT VALID'} by the {rules} rules" if validation else "not checked"
    outcome = trained.outcome
    lines = [f"trained on {outcome.pairs:,} pairs in {format_duration(outcome.seconds)} ({outcome.decay})"]
    if trained.checkpoint:
        lines.append(f"painted with {trained.checkpoint.path}, as asked for")
    lines.append(f"wrote {path}: {len(trained.photos):,} images, {checked}")
    if trained.skipped:
        lines.append(f"left out, because they cannot be read: {', '.join(str(bad.path) for bad in trained.skipped)}")
    return [*lines, scored]


def score_line(evaluation: Evaluation) -> str:
    """Returns a score as a sentence."""
    mifid, score = evaluation.mifid.interval(), evaluation.score
    return (
        f"MiFID {figure(mifid.value)} (95 %: {span(mifid)}), FID {figure(score.fid)}, memorization distance "
        f"{figure(score.memorization_distance)}, layer {evaluation.feature_layer}"
    )


def generated_grid(photos: tuple[Path, ...], path: Path, seed: int) -> Image.Image:
    """Draws photos chosen at random beside their paintings.

    Args:
        photos: in the order in which they were painted.
        path: the archive.
        seed: of the choice.
    """
    chosen = permutation(seed, Purpose.SAMPLE_GRID, 1, len(photos))[: _GRID_ROWS * _GRID_PAIRS]
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
