"""A domain of images, decoded once and kept as one uint8 tensor."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monet.data.decode import UnreadableImage, decode, read_size
from monet.errors import InputError
from monet.machine import available_processors
from monet.threads import thread_pool

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BadImage:
    """A file that could not be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ImageStore:
    """A domain's images.

    Attributes:
        images: uint8 tensor of shape (N, 3, S, S), RGB, 0 to 255; on the accelerator, in memory, or a mapped file.
        paths: the files that they came from, in the same order.
        bad: files that were left out.
    """

    images: Tensor
    paths: tuple[Path, ...]
    bad: tuple[BadImage, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def to(self, device: torch.device) -> ImageStore:
        """Returns the same store with its tensor on the device, if it takes no more than a quarter of the free memory
        there.

        Elsewhere the tensor stays where it is, and batches are copied as they are needed.
        """
        if device.type == "cpu" or not _fits(self.images, device):
            return self
        return ImageStore(self.images.to(device), self.paths, self.bad)


def load_images(
    paths: Sequence[Path],
    load_size: int,
    *,
    memory_limit: int | None = None,
    workers: int | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> ImageStore:
    """Decodes a domain. Files that cannot be used are left out and listed in `bad`.

    The stored side S is `load_size`, or the largest shorter side among the images where none of them is that large:
    enlarging is left to the augmentation.

    Args:
        paths: the files.
        load_size: side in pixels above which images are shrunk.
        memory_limit: bytes; a larger domain goes to a temporary file that is mapped into memory.
        workers: decoding threads; by default one for each processor that this process may use.
        on_image: called after each file.
    """
    workers = workers or available_processors()
    with thread_pool(workers) as pool:
        sides = list(pool.map(_shorter_side, paths))
        stored_side = min(load_size, max((side for side in sides if isinstance(side, int)), default=1))
        good = [path for path, side in zip(paths, sides, strict=True) if isinstance(side, int)]
        array = _allocate((len(good), 3, stored_side, stored_side), memory_limit)

        def fill(row: int) -> BadImage | None:
            try:
                array[row] = decode(good[row], stored_side).transpose(2, 0, 1)  # HWC => CHW
            except UnreadableImage as error:
                return BadImage(good[row], str(error))
            finally:
                on_image()
            return None

        unreadable = list(pool.map(fill, range(len(good))))
    kept = [row for row, problem in enumerate(unreadable) if problem is None]
    bad = [side for side in sides if isinstance(side, BadImage)] + [problem for problem in unreadable if problem]
    for row, source in enumerate(kept):  # close the gaps in place: the array may be larger than the memory
        if row != source:
            array[row] = array[source]
    return ImageStore(
        torch.from_numpy(array[: len(kept)]),
        tuple(good[row] for row in kept),
        tuple(sorted(bad, key=lambda item: item.path.name)),
    )


def summary_of_bad(bad: Sequence[BadImage], most: int = 10) -> str:
    """Returns one line that names the files and the reasons."""
    named = ", ".join(f"{item.path} ({item.reason})" for item in bad[:most])
    return named + (f" and {len(bad) - most} more" if len(bad) > most else "")


def paintable(photos: Sequence[Path], bad: Sequence[BadImage], skip_bad: bool) -> tuple[Path, ...]:
    """Returns the photos that can be painted.

    Args:
        photos: all of them.
        bad: those that cannot be read.
        skip_bad: leave these out; otherwise they are an error.

    Raises:
        InputError: some cannot be read, and are not to be left out.
    """
    if bad and not skip_bad:
        raise InputError(f"cannot be painted: {summary_of_bad(bad)}; mend or remove these files, or add --skip-bad")
    left_out = {item.path for item in bad}
    return tuple(photo for photo in photos if photo not in left_out)


def _shorter_side(path: Path) -> int | BadImage:
    try:
        return min(read_size(path))
    except UnreadableImage as error:
        return BadImage(path, str(error))


def _allocate(shape: tuple[int, ...], memory_limit: int | None) -> NDArray[np.uint8]:
    size = int(np.prod(shape))
    if memory_limit is None or size <= memory_limit:
        return np.empty(shape, dtype=np.uint8)
    logger.info("the images take %.1f GB: they go to a temporary file", size / 1e9)
    # The file has no name, so nothing is left of it when the process ends, however it ends.
    with tempfile.TemporaryFile(prefix="monet-") as file:
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True  # unified memory
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes <= free // 4
