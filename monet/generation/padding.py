"""Images of any size for networks that halve them: continued to the right and below, and cropped back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monet.config import ModelConfig

LEAST_SIDE = 16
"""Pixels: reflection padding inside of the networks needs so many."""


@dataclass(frozen=True)
class Padding:
    """To what sides images are padded."""

    multiple: int
    """Of it are both sides."""
    least: int
    """Pixels that both sides have at least; a multiple of `multiple`."""

    @classmethod
    def of(cls, model: ModelConfig) -> Padding:
        """Returns what a generator needs."""
        multiple = 2**model.downsamplings
        lowest = 1 if model.generator == "unet" else 2  # reflection padding needs 2 pixels, also at the bottom
        return cls(multiple, max(LEAST_SIDE, lowest * multiple))

    def pad(self, images: Tensor) -> Tensor:
        """Continues images, (…, H, W), by reflection, and beyond that by their edge."""
        height, width = images.shape[-2:]
        if (height, width) == (self.side(height), self.side(width)):
            return images
        return self.continued(images)

    def continued(self, images: Tensor) -> Tensor:
        """As `pad`, in operations alone that are the same for every size."""
        height, width = images.shape[-2:]
        rows, columns = (_places(side, self.side(side)).to(images.device) for side in (height, width))
        return images.index_select(-2, rows).index_select(-1, columns)

    def side(self, side: int) -> int:
        """Returns to what a side is padded."""
        padded: int = torch.sym_max(self.least, (side + self.multiple - 1) // self.multiple * self.multiple)  # type: ignore[assignment]
        return padded  # of a graph that is traced: a symbol


def _places(side: int, padded: int) -> Tensor:
    """Returns for each place of a padded row the place that it has its value from: mirrored at the last one, and where
    that leads beyond the first one, this."""
    places = torch.arange(padded)
    return torch.where(places < side, places, (2 * (side - 1) - places).clamp(min=0))
