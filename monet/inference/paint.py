"""Painting a folder with a checkpoint."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from monet.archive import is_archive
from monet.clock import Clock
from monet.config import GenerationConfig
from monet.data.layout import list_images
from monet.data.store import BadImage, paintable, summary_of_bad
from monet.device import choose_device, choose_precision
from monet.display import Display
from monet.errors import InputError
from monet.files import require_output
from monet.generation.painter import make_painter, unreadable
from monet.inference.generators import load_generators
from monet.models import Weights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Painted:
    """Result of painting a folder."""

    num_images: int
    """Images in the archive."""
    skipped: tuple[BadImage, ...]
    """Photos that could not be read and were left out on request."""


def paint_folder(
    checkpoint_path: Path,
    photos_folder: Path,
    path: Path,
    *,
    batch_size: int,
    quality: int,
    weights: Weights = "ema",
    skip_bad: bool = False,
    device: str = "auto",
    precision: str = "auto",
    clock: Clock,
    display: Display | None = None,
) -> Painted:
    """Paints every photo of a folder into an archive.

    Args:
        checkpoint_path: a checkpoint, or a model file.
        photos_folder: photos directly in it.
        path: the archive; it takes this name only when it is complete.
        batch_size: photos that go through the network together.
        quality: JPEG quality, 1 to 100.
        weights: averaged weights where the run has them, or the raw ones.
        skip_bad: leave out photos that cannot be read; otherwise they end the call before any painting.
        device: where the network runs.
        precision: of its convolutions.
        clock: tells the time.
        display: shows progress.

    Raises:
        InputError: the checkpoint, the folder or a photo cannot be read, or an argument is out of range.
        MonetError: the archive cannot be written.
    """
    try:
        settings = GenerationConfig(batch_size=batch_size, quality=quality)
    except ValueError as error:
        raise InputError(
            str(error).replace("generation.batch_size", "--batch-size").replace("generation.", "--")
        ) from None
    display = display or Display()
    require_output(path, "an archive of images", is_archive, [checkpoint_path, photos_folder])
    found = list_images(photos_folder)
    generator = load_generators(checkpoint_path, weights).by_direction["ab"]
    bad = tuple(unreadable(found))
    photos = paintable(found, bad, skip_bad)
    if not photos:
        raise InputError(f"no photo in {photos_folder} can be read: {summary_of_bad(bad, most=3)}")
    where = choose_device(device)
    painter = make_painter(
        generator,
        settings,
        device=where,
        precision=choose_precision(precision, where, clock),
    )
    display.begin("painting", len(photos), "photos")
    count = painter.paint_archive(photos, path, display.advance)
    display.end()
    return Painted(count, bad)
