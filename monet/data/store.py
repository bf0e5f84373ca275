"""A domain of images, decoded once and kept as one uint8 tensor."""

from __future__ import annotations

import functools
import itertools
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monet.config import DataConfig
from monet.data.decode import (
    Fit,
    UnreadableImage,
    centre_square,
    decode,
    exact_size,
    read_size,
    shorter_side,
    shrunk_size,
)
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
        images: RGB, uint8, 0 to 255; on the accelerator, in memory, or in a mapped file. A tensor of shape (N, 3, H, W)
            where all have one size, else N tensors of shape (3, H, W).
        paths: the files that they came from, in the same order.
        bad: files that were left out.
    """

    images: Tensor | tuple[Tensor, ...]
    paths: tuple[Path, ...]
    bad: tuple[BadImage, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def to(self, device: torch.device) -> ImageStore:
        """Returns the same store with its images on the device, if they take no more than a quarter of the free memory
        there.

        Elsewhere they stay where they are, and batches are copied as they are needed.
        """
        if device.type == "cpu" or not _fit(self.images, device):
            return self
        if isinstance(self.images, Tensor):
            return ImageStore(self.images.to(device), self.paths, self.bad)
        return ImageStore(tuple(image.to(device) for image in self.images), self.paths, self.bad)


def load_images(
    paths: Sequence[Path],
    size: int | DataConfig,
    *,
    memory_limit: int | None = None,
    workers: int | None = None,
    on_image: Callable[[], None] = lambda: None,
) -> ImageStore:
    """Decodes a domain. Files that cannot be used are left out and listed in `bad`.

    They are kept as `data.resize` wants them: squares of one side, whole images each of its own size, or images of one
    exact size. The first two are not enlarged, which is left to the augmentation; the side of the squares is at most
    the shorter side of the largest image.

    Args:
        paths: the files.
        size: the settings `resize` and `load_size`; a number is the side of squares.
        memory_limit: bytes; a larger domain goes to a temporary file that is mapped into memory.
        workers: decoding threads; by default one for each processor that this process may use.
        on_image: called after each file.
    """
    workers = workers or available_processors()
    with thread_pool(workers) as pool:
        sizes = list(pool.map(_size, paths))
        known = [found for found in sizes if not isinstance(found, BadImage)]
        good = [path for path, found in zip(paths, sizes, strict=True) if not isinstance(found, BadImage)]
        fit, kept_sizes = _fitted(size, known)
        starts = [0, *itertools.accumulate(3 * height * width for height, width in kept_sizes)]
        array = _allocate(starts[-1], memory_limit)

        def fill(row: int) -> tuple[int, int] | BadImage:
            try:
                pixels = decode(good[row], fit)
                place = array[starts[row] : starts[row + 1]]
                if pixels.size != place.size:
                    raise UnreadableImage("its size is not the one that it begins with")
                place[:] = pixels.transpose(2, 0, 1).reshape(-1)  # HWC => CHW
            except UnreadableImage as error:
                return BadImage(good[row], str(error))
            finally:
                on_image()
            return pixels.shape[0], pixels.shape[1]

        filled = list(pool.map(fill, range(len(good))))
    kept = {row: found for row, found in enumerate(filled) if not isinstance(found, BadImage)}
    bad = [found for found in [*sizes, *filled] if isinstance(found, BadImage)]
    views = [array[starts[row] : starts[row + 1]].reshape(3, *found) for row, found in kept.items()]
    one_size = isinstance(size, int) or size.resize != "shorter"
    return ImageStore(
        _joined(views, array) if one_size else tuple(torch.from_numpy(view) for view in views),
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


def _size(path: Path) -> tuple[int, int] | BadImage:
    try:
        return read_size(path)
    except UnreadableImage as error:
        return BadImage(path, str(error))


def _fitted(size: int | DataConfig, found: Sequence[tuple[int, int]]) -> tuple[Fit, list[tuple[int, int]]]:
    """Returns how images are resized, and the sizes that they have then; which is height or width is left open.

    Args:
        size: as of `load_images`.
        found: width and height of each image in its file, which its orientation may exchange.
    """
    resize, (height, width) = ("square", (size, size)) if isinstance(size, int) else (size.resize, size.load)
    if resize == "exact":
        return functools.partial(exact_size, height=height, width=width), [(height, width)] * len(found)
    if resize == "shorter":
        return functools.partial(shorter_side, most=height), [shrunk_size(each, height) for each in found]
    side = min(height, max((min(each) for each in found), default=1))
    return functools.partial(centre_square, side=side), [(side, side)] * len(found)


def _allocate(size: int, memory_limit: int | None) -> NDArray[np.uint8]:
    if memory_limit is None or size <= memory_limit:
        return np.empty(size, dtype=np.uint8)
    logger.info("the images take %.1f GB: they go to a temporary file", size / 1e9)
    # The file has no name, so nothing is left of it when the process ends, however it ends.
    with tempfile.TemporaryFile(prefix="monet-") as file:
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=(size,))


def _joined(images: Sequence[NDArray[np.uint8]], array: NDArray[np.uint8]) -> Tensor:
    """Returns images of one size, which lie in an array in this order, as one tensor. Gaps between them are closed in
    place: the array may be larger than the memory."""
    if not images:
        return torch.empty(0, 3, 1, 1, dtype=torch.uint8)
    joined = array[: len(images) * images[0].size].reshape(-1, *images[0].shape)
    for row, image in enumerate(images):
        if not np.shares_memory(joined[row], image):
            joined[row] = image
    return torch.from_numpy(joined)


def _fit(images: Tensor | tuple[Tensor, ...], device: torch.device) -> bool:
    if device.type != "cuda":
        return True  # unified memory
    free, _ = torch.cuda.mem_get_info(device)
    return sum(image.nbytes for image in images) <= free // 4
