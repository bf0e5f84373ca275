"""Parts that several networks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["instance", "batch"]


class InstanceNorm(nn.Module):
    """Instance normalisation without learned scale and shift (Ulyanov et al. 2016), eps 1e-5.

    Computed as group normalisation with one channel a group, which is the same function and several times faster on a
    CPU. PyTorch's kernels keep its statistics in fp32 whatever the input's type; the output has the input's type.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Normalises every image and channel by itself: (B, C, H, W) => (B, C, H, W)."""
        with torch.autocast(x.device.type, enabled=False):
            return F.group_norm(x, self.channels)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return str(self.channels)


def norm_layer(kind: Norm) -> Callable[[int], nn.Module]:
    """The constructor of a normalisation layer: channels => module."""
    return InstanceNorm if kind == "instance" else nn.BatchNorm2d


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draws convolution weights from Normal(0, 0.02) and batch-norm scales from Normal(1, 0.02); biases become 0.

    Args:
        module: changed in place; on the CPU.
        generator: the random state, handed in.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02, generator=generator)
            nn.init.zeros_(layer.bias)
