"""Networks that see and change images as wavelet coefficients of about unit variance.

Neighbouring pixels, and the three colours of a pixel, are nearly the same: in pixels almost all variance is brightness,
and what tells a painting from a photo (strokes, edges, hues) is a thousandth of it, which a network finds late. One
level of the Haar transform of opponent colours separates these (coefficients of natural images are nearly
uncorrelated: Simoncelli and Olshausen 2001), and a fixed scale for each makes them alike. It also halves the
resolution, so that no layer of these networks works at the full one.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from monet.models.layers import Norm, full_precision, norm_layer
from monet.models.resnet import down_and_up

COEFFICIENTS = 12
"""3 colours × 4 subbands, each at half the resolution."""
_FACTOR = 2

_COLOURS = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))
"""Brightness, red against blue, and green against both, of red, green and blue; normalised below."""
_SUBBANDS = ((1.0, 1.0, 1.0, 1.0), (1.0, -1.0, 1.0, -1.0), (1.0, 1.0, -1.0, -1.0), (1.0, -1.0, -1.0, 1.0))
"""Mean, and differences across, down and along the diagonals, of a 2×2 square's pixels, row by row; halved below."""
_DEVIATIONS = ((1.6, 0.24, 0.24, 0.15), (0.56, 0.03, 0.03, 0.01), (0.21, 0.018, 0.018, 0.007))
"""Standard deviations of the coefficients, for images in −1…1: a row for each colour. Those of photographs and of
paintings differ by less than a factor of 1.5."""
_FLOOR = 0.03
"""Added to them in squares, so that what differs by less, such as the traces of JPEG, stays small."""


class HaarTransform(nn.Module):
    """Pixels => scaled wavelet coefficients: (B, 3, H, W) in −1…1 => (B, 12, H/2, W/2). H and W are even.

    Computed in fp32 or better: the smallest coefficients are differences of large numbers.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _analysis()[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transforms images."""
        with torch.autocast(x.device.type, enabled=False):
            x = full_precision(x)
            return F.conv2d(F.pixel_unshuffle(x, _FACTOR), self.kernel.to(x.dtype))


class InverseHaarTransform(nn.Module):
    """Scaled wavelet coefficients => pixels: (B, 12, H/2, W/2) => (B, 3, H, W), the inverse of `HaarTransform`."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.linalg.inv(_analysis())[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transforms coefficients."""
        with torch.autocast(x.device.type, enabled=False):
            x = full_precision(x)
            return F.pixel_shuffle(F.conv2d(x, self.kernel.to(x.dtype)), _FACTOR)


class WaveletGenerator(nn.Module):
    """A residual network between the Haar transform and its inverse.

    Args:
        width: channels at half resolution; each further downsampling doubles them.
        residual_blocks: any number, at the lowest resolution.
        downsamplings: how often the resolution is halved; the transform is the first time.
        norm: normalisation layers; with `batch` the convolutions before them have no bias.
        skip: add what the layers find to the input, and clip to the range.
    """

    def __init__(
        self,
        *,
        width: int = 32,
        residual_blocks: int = 4,
        downsamplings: int = 1,
        norm: Norm = "instance",
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        normalise, bias = norm_layer(norm), norm == "instance"
        layers: list[nn.Module] = [
            HaarTransform(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(COEFFICIENTS, width, 3, bias=bias),
            normalise(width),
            nn.ReLU(),
        ]
        layers += down_and_up(
            width, residual_blocks=residual_blocks, downsamplings=downsamplings - 1, upsample="resize", norm=norm
        )
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, COEFFICIENTS, 3), InverseHaarTransform()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Translates images: (B, 3, H, W) in −1…1 => the same shape and range. H and W divide by 2^downsamplings."""
        found = self.layers(x)
        return (x + found).clamp(-1, 1) if self.skip else torch.tanh(found)


class WaveletDiscriminator(nn.Module):
    """The Haar transform, C, two of stride 2 (C, 2C), a last one of 2C, and a convolution to one channel.

    Each verdict sees 56×56 pixels; 256×256 in, 32×32 out; 0.090 M parameters at width 32.

    Args:
        width: channels of the first two layers.
        norm: normalisation layers (none after the first convolution); with `batch` the convolutions before them have
            no bias.
    """

    def __init__(self, *, width: int = 32, norm: Norm = "instance") -> None:
        super().__init__()
        normalise, bias = norm_layer(norm), norm == "instance"
        layers: list[nn.Module] = [HaarTransform(), nn.Conv2d(COEFFICIENTS, width, 3, padding=1), nn.LeakyReLU(0.2)]
        for inputs, outputs, size, stride in ((1, 1, 4, 2), (1, 2, 4, 2), (2, 2, 3, 1)):
            layers += [
                nn.Conv2d(width * inputs, width * outputs, size, stride=stride, padding=1, bias=bias),
                normalise(width * outputs),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(width * 2, 1, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Judges images: (B, 3, H, W) in −1…1 => (B, 1, H/8, W/8); 1 means real."""
        return self.layers(x)


def _analysis() -> Tensor:
    """Returns the scaled transform of a 2×2 square, (12, 12): a row a coefficient, a column a pixel of a colour, in the
    order of `pixel_unshuffle`."""
    colours = F.normalize(torch.tensor(_COLOURS, dtype=torch.float64), dim=1)
    subbands = torch.tensor(_SUBBANDS, dtype=torch.float64) / _FACTOR
    scales = [math.hypot(deviation, _FLOOR) for row in _DEVIATIONS for deviation in row]
    transform = torch.einsum("oc,sp->oscp", colours, subbands).reshape(COEFFICIENTS, COEFFICIENTS)
    return (transform / torch.tensor(scales, dtype=torch.float64)[:, None]).float()
