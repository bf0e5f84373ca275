"""A data set drawn on the spot, 7,028 landscape "photos" and 300 "paintings": everything runs without a download.

Each picture is a function of (seed, kind, index) alone. The paintings are other landscapes, laid down again in visible
brush strokes that follow the forms, with a brighter palette.
"""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from monet.data.drawing import Kind, draw
from monet.data.layout import Layout, find_layout
from monet.errors import MonetError

logger = logging.getLogger(__name__)

PHOTOS, PAINTINGS = 7_028, 300
VERSION = 1
"""Raised whenever the drawing changes, so that an older cached set is not mistaken for this one."""

_FOLDERS: dict[Kind, str] = {"photo": "photo_jpg", "painting": "monet_jpg"}


def demo_data(
    cache_folder: Path,
    *,
    seed: int = 0,
    photos: int = PHOTOS,
    paintings: int = PAINTINGS,
    workers: int,
    begin: Callable[[int], None] = lambda _: None,
    advance: Callable[[int], None] = lambda _: None,
) -> Layout:
    """The demo set; drawn at the first call, found in the cache at later ones.

    Args:
        cache_folder: where it is kept.
        seed: another seed, other pictures.
        photos: how many.
        paintings: how many.
        workers: processes that draw.
        begin: called with the number of pictures before they are drawn.
        advance: called with the number of pictures in each finished portion.

    Returns:
        Its files, in the competition's layout.

    Raises:
        MonetError: the cache folder cannot be written to.
    """
    folder = cache_folder / f"demo-v{VERSION}-seed{seed}-{photos}-{paintings}"
    if not _whole(folder, photos, paintings):
        begin(photos + paintings)
        try:
            cache_folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache_folder, ignore_cleanup_errors=True) as temporary:
                drawn = Path(temporary) / folder.name
                _draw_all(drawn, seed, {"photo": photos, "painting": paintings}, workers, advance)
                if not _whole(folder, photos, paintings):  # unless another process was faster
                    shutil.rmtree(folder, ignore_errors=True)
                    drawn.rename(folder)
        except OSError as error:
            raise MonetError(f"cannot write the demo set in {cache_folder}: {error.strerror or error}") from error
    return find_layout(folder)


def _whole(folder: Path, photos: int, paintings: int) -> bool:
    """All pictures of a cached set are there."""
    counts = [len(list((folder / name).glob("*.jpg"))) for name in (_FOLDERS["photo"], _FOLDERS["painting"])]
    return counts == [photos, paintings]


def _draw_all(folder: Path, seed: int, counts: dict[Kind, int], workers: int, advance: Callable[[int], None]) -> None:
    portions: list[tuple[Kind, int, int]] = []
    for kind, count in counts.items():
        (folder / _FOLDERS[kind]).mkdir(parents=True)
        size = 50 if kind == "photo" else 10
        portions += [(kind, start, min(start + size, count)) for start in range(0, count, size)]
    # Spawned, not forked: the parent may hold threads. Windows waits for 61 processes at most.
    with ProcessPoolExecutor(min(workers, 61), mp_context=multiprocessing.get_context("spawn")) as pool:
        for count in pool.map(partial(_draw_portion, folder, seed), portions):
            advance(count)


def _draw_portion(folder: Path, seed: int, portion: tuple[Kind, int, int]) -> int:
    kind, start, stop = portion
    for index in range(start, stop):
        draw(seed, kind, index).save(folder / _FOLDERS[kind] / f"{kind}-{index:04d}.jpg", quality=92)
    return stop - start
