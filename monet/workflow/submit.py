"""The whole way: train, paint every photo, validate the archive, show what came out."""

from __future__ import annotations

import io
import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from monet import archive
from monet.clock import format_duration
from monet.data.decode import decode
from monet.data.store import BadImage
from monet.data.stream import Purpose, permutation
from monet.errors import Interrupted
from monet.files import require_writable
from monet.reporting.grids import image_grid, save_image
from monet.training.trainer import Outcome
from monet.workflow.job import Job
from monet.workflow.train import train

logger = logging.getLogger(__name__)

_GRID_ROWS, _GRID_PAIRS = 4, 3
"""The grid of generated images: rows, and photos with their paintings in a row."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a submission consists of."""

    path: Path
    """The archive."""
    num_images: int
    """Images in it."""
    report: archive.Report
    """What validation says of it."""
    skipped: tuple[BadImage, ...]
    """Photos that could not be read and were left out on request."""
    outcome: Outcome
    """How training ended."""
    late: float
    """Seconds past the deadline; 0 when in time."""


def submit(job: Job, path: Path) -> Submission:
    """Trains a run, paints every photo into an archive, and checks it.

    Args:
        job: what is asked for.
        path: the archive; it takes this name only when it is complete.

    Raises:
        MonetError: what `train` raises, or the archive cannot be written.
        Interrupted: told to end; the training is saved.
    """
    require_writable(path)
    trained = train(job)
    photos = trained.photos
    logger.info("painting %d photos", len(photos))
    job.display.begin("painting", len(photos), "photos")
    try:
        count = trained.painter.paint_archive(photos, path, job.display.advance)
    except Interrupted as stop:
        kept = (
            f"stopped while painting; the training is saved in {job.folder.last}: add --resume to the command to paint"
        )
        raise Interrupted(stop.signal_number, kept) from None
    job.display.end()
    report = archive.validate(path, job.layout.rules)
    save_image(generated_grid(photos, path, job.config.training.seed), job.folder.samples / "generated.png")
    late = max(0.0, -job.deadline.remaining()) if job.deadline else 0.0
    if late:
        logger.warning("late by %s: the machine slowed down by more than half after training", format_duration(late))
    return Submission(
        path=path, num_images=count, report=report, skipped=trained.skipped, outcome=trained.outcome, late=late
    )


def generated_grid(photos: tuple[Path, ...], path: Path, seed: int) -> Image.Image:
    """Photos chosen at random beside their paintings.

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
                decode(photos[index], archive.SIDE),
                np.asarray(Image.open(io.BytesIO(images.read(names[index])))),
            )
        ]
    columns = 2 * min(_GRID_PAIRS, len(chosen))
    rows = [shown[start : start + columns] for start in range(0, len(shown) - columns + 1, columns)]
    return image_grid(rows, ["photo", "painted"] * (columns // 2), group=2)
