"""The U-Net generator of pix2pix (Isola et al. 2017), as deep as the crop allows."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from monet.models.layers import Norm, ResizeConvolution, norm_layer


class UnetGenerator(nn.Module):
    """An encoder and a decoder with a connection at every resolution.

    Each level halves the resolution by a 4×4 convolution of stride 2; channels double up to 8 × width. The innermost
    level has no normalisation: a single pixel a channel would become 0.

    Args:
        width: channels of the first layer.
        levels: how often the resolution is halved.
        upsample: `transpose`: 4×4 transposed convolution, as in the paper; `resize`: nearest-neighbour resize and
            3×3 convolution.
        norm: normalisation layers.
        skip: add what the layers find to the input, and clip to the range.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        levels: int = 7,
        upsample: Literal["transpose", "resize"] = "transpose",
        norm: Norm = "instance",
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        channels = [3] + [min(width * 2**level, width * 8) for level in range(levels)]
        self.down = nn.ModuleList(
            _down(channels[level], channels[level + 1], norm, first=level == 0, innermost=level == levels - 1)
            for level in range(levels)
        )
        self.up = nn.ModuleList(
            _up(
                channels[level + 1] * (1 if level == levels - 1 else 2),
                channels[level] if level else 3,
                norm,
                upsample,
                outermost=level == 0,
            )
            for level in reversed(range(levels))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Translates images: (B, 3, H, W) in −1…1 => the same shape and range. H and W divide by 2^levels."""
        levels: list[Tensor] = []
        y = x
        for down in self.down:
            y = down(y)
            levels.append(y)
        y = levels.pop()
        for up in self.up:
            y = up(y)
            if levels:
                y = torch.cat([y, levels.pop()], 1)
        return (x + y).clamp(-1, 1) if self.skip else y


def _down(inputs: int, outputs: int, norm: Norm, *, first: bool, innermost: bool) -> nn.Sequential:
    normalised = not (first or innermost)
    layers: list[nn.Module] = [] if first else [nn.LeakyReLU(0.2)]
    layers.append(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=norm == "instance" or not normalised))
    if normalised:
        layers.append(norm_layer(norm)(outputs))
    return nn.Sequential(*layers)


def _up(inputs: int, outputs: int, norm: Norm, upsample: str, *, outermost: bool) -> nn.Sequential:
    bias = norm == "instance" or outermost
    convolution = (
        ResizeConvolution(inputs, outputs, bias)
        if upsample == "resize"
        else nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)
    )
    last = nn.Tanh() if outermost else norm_layer(norm)(outputs)
    return nn.Sequential(nn.ReLU(), convolution, last)
