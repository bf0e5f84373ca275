"""Discriminators on pixels: the 70×70 PatchGAN (Isola et al. 2017), and one with a verdict an image."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from monet.models.layers import Norm, norm_layer


class PatchDiscriminator(nn.Module):
    """C64-C128-C256-C512 and a last convolution to one channel; each verdict sees 70×70 pixels.

    256×256 in, 30×30 out; 2.765 M parameters at width 64.

    Args:
        width: channels of the first layer.
        norm: normalisation layers (none after the first convolution); with `batch` the convolutions before them have
            no bias.
    """

    def __init__(self, *, width: int = 64, norm: Norm = "instance") -> None:
        super().__init__()
        normalise, bias = norm_layer(norm), norm == "instance"
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for inputs, outputs, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(width * inputs, width * outputs, 4, stride=stride, padding=1, bias=bias),
                normalise(width * outputs),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(width * 8, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Judges images: (B, 3, H, W) in −1…1 => (B, 1, H/8 − 2, W/8 − 2); 1 means real."""
        return self.layers(x)


class PooledDiscriminator(nn.Module):
    """Four convolutions of stride 2, each of them normalised, one to a single channel, and the mean of its map.

    2.761 M parameters at width 64.

    Args:
        width: channels of the first layer, which double with each further one.
        norm: normalisation layers; with `batch` the convolutions before them have no bias.
    """

    def __init__(self, *, width: int = 64, norm: Norm = "instance") -> None:
        super().__init__()
        normalise, bias = norm_layer(norm), norm == "instance"
        channels = [3, width, 2 * width, 4 * width, 8 * width]
        blocks: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(channels):
            convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)
            blocks += [convolution, normalise(outputs), nn.LeakyReLU(0.2)]
        self.blocks = nn.Sequential(*blocks)
        self.verdicts = nn.Conv2d(channels[-1], 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Judges images: (B, 3, H, W) in −1…1 => (B, 1, 1, 1); 1 means real. H and W are at least 32."""
        return self.verdicts(self.blocks(x)).mean((-2, -1), keepdim=True)
