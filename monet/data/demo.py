"""A data set drawn on the spot, 7,028 landscape "photos" and 300 "paintings": everything runs without a download.

Each picture is a function of (seed, kind, index) alone. The paintings are other landscapes, laid down again in visible
brush strokes that follow the forms, with a brighter palette.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from monet.data.drawing import Kind, draw
from monet.data.layout import Layout, find_layout
from monet.errors import MonetError
from monet.locks import Held, NoLocks, open_locked

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
    """Returns the demo set; drawn at the first call, found in the cache at later ones.

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
    try:
        if not _whole(folder, photos, paintings):
            cache_folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder) as alone:
                if not _whole(folder, photos, paintings):  # unless another process drew it meanwhile
                    begin(photos + paintings)
                    with _new_folder(folder, alone) as drawn:
                        _draw_all(drawn, seed, {"photo": photos, "painting": paintings}, workers, advance)
                        shutil.rmtree(folder, ignore_errors=True)
                        drawn.rename(folder)
    except OSError as error:
        raise MonetError(f"cannot write the demo set in {cache_folder}: {error.strerror or error}") from error
    return find_layout(folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Waits until no other process draws this set, and keeps others waiting while the block runs. False where the file
    system has no locks."""
    lock = folder.with_name(f"{folder.name}.lock")
    try:
        try:
            file = open_locked(lock)
        except Held:
            logger.info("another process draws the demo set in %s: waiting for it", folder)
            file = open_locked(lock, wait=True)
    except NoLocks:
        yield False
        return
    with file:
        try:
            yield True
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()


@contextlib.contextmanager
def _new_folder(folder: Path, alone: bool) -> Iterator[Path]:
    """A folder of a name of its own beside another one. Nothing of it is left there in the end, nor of what killed
    processes left, if nobody else draws."""
    if alone:
        for left in folder.parent.glob(f"{folder.name}.*.partial"):
            shutil.rmtree(left, ignore_errors=True)
    private = tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".partial", dir=folder.parent)
    try:
        yield Path(private) / folder.name
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _whole(folder: Path, photos: int, paintings: int) -> bool:
    """Returns whether all pictures of a cached set are there."""
    counts = [len(list((folder / name).glob("*.jpg"))) for name in (_FOLDERS["photo"], _FOLDERS["painting"])]
    return counts == [photos, paintings]


def _draw_all(folder: Path, seed: int, counts: dict[Kind, int], workers: int, advance: Callable[[int], None]) -> None:
    portions: list[tuple[Kind, int, int]] = []
    for kind, count in counts.items():
        (folder / _FOLDERS[kind]).mkdir(parents=True)
        size = 50 if kind == "photo" else 10
        portions += [(kind, start, min(start + size, count)) for start in range(0, count, size)]
    # Spawned, not forked: the parent may hold threads. Windows waits for 61 processes at most.
    pool = ProcessPoolExecutor(min(workers, 61), mp_context=multiprocessing.get_context("spawn"))
    try:
        with _unheard_by_children():
            drawn = pool.map(partial(_draw_portion, folder, seed), portions)
        for count in drawn:
            advance(count)
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _unheard_by_children() -> Iterator[None]:
    """Processes that are started while it is open do not hear what a terminal sends to all of them, Ctrl-C and its end:
    this one does, and ends them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _draw_portion(folder: Path, seed: int, portion: tuple[Kind, int, int]) -> int:
    kind, start, stop = portion
    for index in range(start, stop):
        draw(seed, kind, index).save(folder / _FOLDERS[kind] / f"{kind}-{index:04d}.jpg", quality=92)
    return stop - start
