"""The whole way: train, paint every photo, validate the archive, show what came out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from monet import archive
from monet.clock import format_duration
from monet.data.decode import decode
from monet.data.store import BadImage
from monet.data.stream import Purpose, permutation
from monet.reporting.grids import image_grid, save_image
from monet.training.trainer import Outcome
from monet.workflow.job import Job
from monet.workflow.train import train

logger = logging.getLogger(__name__)

_SHOWN = 6
"""Columns of the grid of generated images; each holds two photos with their paintings."""


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
    """
    trained = train(job)
    photos = trained.photos
    logger.info("painting %d photos", len(photos))
    job.display.begin("painting", len(photos), "photos")
    count = trained.painter.paint_archive(photos, path, job.display.advance)
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
    """Photos chosen at random above their paintings.

    Args:
        photos: in the order in which they were painted.
        path: the archive.
        seed: of the choice.
    """
    import io
    import zipfile

    chosen = permutation(seed, Purpose.SAMPLE_GRID, 1, len(photos))[: 2 * _SHOWN]
    names = archive.member_names(photos)
    with zipfile.ZipFile(path) as images:
        painted = [np.asarray(Image.open(io.BytesIO(images.read(names[index])))) for index in chosen]
    originals = [decode(photos[index], archive.SIDE) for index in chosen]
    columns = min(_SHOWN, len(chosen))
    rows = []
    for start in range(0, len(chosen) - columns + 1, columns):
        rows += [originals[start : start + columns], painted[start : start + columns]]
    return image_grid(rows, [""] * columns)
