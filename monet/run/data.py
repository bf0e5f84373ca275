"""From what a user calls the data to its files, and from there to images in memory."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from monet.config import DataConfig
from monet.context import Context
from monet.data.demo import demo_data
from monet.data.download import download_competition
from monet.data.layout import COMPETITION, KAGGLE_MOUNTS, Layout, find_auto, find_layout
from monet.data.store import BadImage, ImageStore, load_images, paintable, summary_of_bad
from monet.display import Display
from monet.errors import InputError
from monet.machine import available_memory, available_processors

logger = logging.getLogger(__name__)


def find_data(data: str, *, cache_folder: Path, display: Display) -> Layout:
    """Returns the files of a data set.

    Args:
        data: a folder; `auto` for the first of Kaggle's mounts, `data/gan-getting-started` and a download; `demo` for
            pictures drawn on the spot.
        cache_folder: where the demo set is kept.
        display: shows the drawing.

    Raises:
        InputError: there is nothing usable; the message says what to do.
    """
    if data == "auto":
        return find_layout(find_auto([*KAGGLE_MOUNTS, Path("data") / COMPETITION]) or download_competition())
    if data != "demo":
        return find_layout(Path(data))
    layout = demo_data(
        cache_folder,
        workers=available_processors(),
        begin=lambda total: display.begin("drawing the demo set", total, "pictures"),
        advance=display.advance,
    )
    display.end()
    return layout


def find_shared_data(data: str, context: Context) -> Layout:
    """Returns the files of a data set, which on each machine one process draws or downloads while the others wait.

    Raises:
        InputError: as `find_data`.
    """
    group = context.group

    def find() -> Layout:
        return find_data(data, cache_folder=context.cache_folder, display=context.display)

    found = group.on_rank_zero(find)
    if group.local_rank == 0 and found is None:
        found = find()
    group.barrier()
    return found or find()


@dataclass(frozen=True, kw_only=True)
class Images:
    """The images of a run, decoded, and the photos that it paints."""

    photos: ImageStore
    """Domain a."""
    paintings: ImageStore
    """Domain b."""
    to_paint: tuple[Path, ...]
    """The photos to paint, all of them readable."""
    skipped: tuple[BadImage, ...]
    """Photos that are left out of the archive."""


def read_images(layout: Layout, config: DataConfig, context: Context, *, paint: bool, skip_bad: bool) -> Images:
    """Decodes both domains.

    Args:
        layout: their files.
        config: the size at which they are kept.
        context: of the run.
        paint: photos are painted after the training: those must be readable, too.
        skip_bad: leave out those that are not.

    Raises:
        InputError: no photo or no painting can be read, or one that is to be painted.
    """
    extra = () if layout.to_paint == layout.photos or not paint else layout.to_paint
    context.display.begin("reading", len(layout.photos) + len(layout.paintings) + len(extra), "images")
    share = 2 * context.group.local_world_size  # half of the memory for the processes on this machine
    photos, paintings, others = (
        load_images(
            paths,
            config,
            memory_limit=available_memory() // share,
            workers=context.processors,
            on_image=context.display.advance,
        )
        for paths in (layout.photos, layout.paintings, extra)
    )
    context.display.end()
    bad = photos.bad + paintings.bad
    if bad and context.group.rank == 0:
        logger.warning("left out of training: %s", summary_of_bad(bad))
    for store, name in ((photos, "photo"), (paintings, "painting")):
        if len(store) == 0:
            raise InputError(f"no {name} can be read: {summary_of_bad(store.bad, most=3)}")
    skipped = (others.bad if extra else photos.bad) if paint else ()
    to_paint = paintable(layout.to_paint, skipped, skip_bad)
    return Images(photos=photos, paintings=paintings, to_paint=to_paint, skipped=skipped)
