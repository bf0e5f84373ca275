"""Instance normalisation with statistics that are not only those of the image at hand.

A tile of an image has other means and variances than the whole, and would get other colours; a frame of a video has
nearly those of the frame before, and flickers where they differ. Both are mended by keeping statistics.
"""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor, nn

from monet.models.layers import InstanceNorm, full_precision

_EPSILON = 1e-5
"""As in `InstanceNorm`."""


class KeptNorm(nn.Module):
    """`InstanceNorm` whose means and variances are a mixture of the image's own and those that were kept before."""

    def __init__(self) -> None:
        super().__init__()
        self.own_share = 1.0
        """Share of the image's own statistics, 0 to 1; until some are kept it has them all."""
        self._kept: Tensor | None = None
        self._used: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalises an image: (1, C, H, W) => (1, C, H, W)."""
        with torch.autocast(x.device.type, enabled=False):
            values = full_precision(x)
            statistics = self._kept
            if statistics is None or self.own_share > 0:
                own = torch.stack(torch.var_mean(values, (-2, -1), correction=0, keepdim=True))
                statistics = own if statistics is None else statistics.lerp(own, self.own_share)
            self._used = statistics
            variance, mean = statistics
            return ((values - mean) * (variance + _EPSILON).rsqrt()).to(x.dtype)

    def keep(self) -> None:
        """Keeps the statistics that were used last."""
        self._kept = self._used

    def forget(self) -> None:
        """Drops what was kept."""
        self._kept = self._used = None


class KeptStatistics:
    """A generator, with the same weights, that keeps statistics from one image to the next.

    Args:
        generator: (1, 3, H, W) => the same; left as it is. Without instance normalisation nothing is kept, and nothing
            need be: batch normalisation has its statistics from the training.
    """

    def __init__(self, generator: nn.Module) -> None:
        shared = {id(tensor): tensor for tensor in itertools.chain(generator.parameters(), generator.buffers())}
        self.generator = copy.deepcopy(generator, shared)
        """Normalises with `KeptNorm`."""
        self._norms: list[KeptNorm] = []
        for module in list(self.generator.modules()):
            for name, child in module.named_children():
                if isinstance(child, InstanceNorm):
                    self._norms.append(KeptNorm())
                    setattr(module, name, self._norms[-1])

    def mix(self, own_share: float) -> None:
        """Sets the share of an image's own statistics in those by which it is normalised: 1 for these alone, 0 for the
        kept ones alone."""
        for norm in self._norms:
            norm.own_share = own_share

    def keep(self) -> None:
        """Keeps the statistics of the last image, as they were mixed."""
        for norm in self._norms:
            norm.keep()

    def forget(self) -> None:
        """Drops what was kept: the next image has its own."""
        for norm in self._norms:
            norm.forget()
