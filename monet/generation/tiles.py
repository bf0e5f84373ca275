"""An image in overlapping tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from monet.config import ModelConfig


@dataclass(frozen=True)
class Tile:
    """A part of an image that goes through the generator by itself."""

    seen: tuple[slice, slice]
    """Rows and columns that the generator is given."""
    kept: tuple[slice, slice]
    """Rows and columns of the image that its output is used for; those of all tiles cover the image once."""
    inner: tuple[slice, slice]
    """The same within the output."""


def tiles(height: int, width: int, *, side: int, reach: int, multiple: int) -> Iterator[Tile]:
    """Divides an image.

    Args:
        height: of the image in pixels; a multiple of `multiple`.
        width: likewise.
        side: of the parts that are kept, at most.
        reach: pixels around these that their output depends on, at most.
        multiple: all parts begin and end at multiples of this, so that the generator halves them as it does the whole.
    """
    side = max(multiple, side // multiple * multiple)
    margin = math.ceil(reach / multiple) * multiple
    for top in range(0, height, side):
        for left in range(0, width, side):
            kept = (slice(top, min(height, top + side)), slice(left, min(width, left + side)))
            seen = (_widened(kept[0], margin, height), _widened(kept[1], margin, width))
            yield Tile(seen, kept, (_within(kept[0], seen[0]), _within(kept[1], seen[1])))


def reach_of(config: ModelConfig) -> int:
    """Returns an upper bound of the distance in pixels between a pixel of a generator's output and those of its input
    that it depends on, but for normalisation."""
    lowest = 2**config.downsamplings
    if config.generator == "unet":  # 4×4 kernels down, and up again: 2 pixels each at every resolution
        return 4 * lowest
    # Halving and doubling: a pixel of each resolution, and one of the next lower one. Residual blocks: two 3×3 kernels.
    halvings, blocks = 3 * lowest, 2 * config.residual_blocks * lowest
    first_and_last = 2 * 3  # 7×7 kernels; of `wavelet` 3×3 at half resolution
    return halvings + blocks + first_and_last


def _widened(part: slice, margin: int, end: int) -> slice:
    return slice(max(0, part.start - margin), min(end, part.stop + margin))


def _within(part: slice, whole: slice) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)
