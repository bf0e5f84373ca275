"""The generator of the CycleGAN paper: Johnson et al. 2016, "Perceptual losses for real-time style transfer"."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from monet.models.layers import HeadConvolution, Norm, ResizeConvolution, norm_layer


class ResnetGenerator(nn.Module):
    """Convolutions down, residual blocks, convolutions up.

    With 2 downsamplings and 9 blocks this is c7s1-64, d128, d256, R256 × 9, u128, u64, c7s1-3 in the paper's notation,
    reflection padded; 11.378 M parameters at width 64.

    Args:
        width: channels of the first layer; each downsampling doubles them.
        residual_blocks: any number.
        downsamplings: how often the resolution is halved.
        upsample: `transpose`: transposed convolution, as in the paper; `resize`: nearest-neighbour resize and
            convolution (Odena et al. 2016), which leaves no grid.
        norm: normalisation layers; with `batch` the convolutions before them have no bias.
        skip: add what the layers find to the input, and clip to the range.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        residual_blocks: int = 9,
        downsamplings: int = 2,
        upsample: Literal["transpose", "resize"] = "transpose",
        norm: Norm = "instance",
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        normalise, bias = norm_layer(norm), norm == "instance"
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, width, 7, bias=bias),
            normalise(width),
            nn.ReLU(),
        ]
        layers += down_and_up(
            width, residual_blocks=residual_blocks, downsamplings=downsamplings, upsample=upsample, norm=norm
        )
        layers += [nn.ReflectionPad2d(3), HeadConvolution(width, 3, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Translates images: (B, 3, H, W) in −1…1 => the same shape and range. H and W divide by 2^downsamplings."""
        return (x + self.layers(x)).clamp(-1, 1) if self.skip else self.layers(x)


class ResidualBlock(nn.Module):
    """Two reflection-padded 3×3 convolutions around which the input is carried: (B, C, H, W) => (B, C, H, W)."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        normalise, bias = norm_layer(norm), norm == "instance"
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            normalise(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            normalise(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Adds what the layers find to what came in."""
        return x + self.layers(x)


def down_and_up(
    channels: int, *, residual_blocks: int, downsamplings: int, upsample: Literal["transpose", "resize"], norm: Norm
) -> list[nn.Module]:
    """Returns convolutions down, residual blocks, and convolutions up: (B, C, H, W) => (B, C, H, W).

    Args:
        channels: that come in and go out; each downsampling doubles them in between.
        residual_blocks: any number, at the lowest resolution.
        downsamplings: any number; H and W divide by 2^downsamplings.
        upsample: as of `ResnetGenerator`.
        norm: normalisation layers; with `batch` the convolutions before them have no bias.
    """
    normalise, bias = norm_layer(norm), norm == "instance"
    layers: list[nn.Module] = []
    for _ in range(downsamplings):
        layers += [
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=bias),
            normalise(2 * channels),
            nn.ReLU(),
        ]
        channels *= 2
    layers += [ResidualBlock(channels, norm) for _ in range(residual_blocks)]
    for _ in range(downsamplings):
        layers += [_upsampling(channels, upsample, bias), normalise(channels // 2), nn.ReLU()]
        channels //= 2
    return layers


def _upsampling(channels: int, kind: Literal["transpose", "resize"], bias: bool) -> nn.Module:
    """Returns a layer that doubles the resolution and halves the channels."""
    if kind == "resize":
        return ResizeConvolution(channels, channels // 2, bias)
    return nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1, bias=bias)
