"""The 70×70 PatchGAN discriminator (Isola et al. 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from monet.models.layers import Norm, norm_layer


class PatchDiscriminator(nn.Module):
    """C64-C128-C256-C512 and a last convolution to one channel; each verdict sees 70×70 pixels.

    256×256 in, 30×30 out; 2.765 M parameters at width 64.

    Args:
        width: channels of the first layer.
        norm: normalisation layers (none after the first convolution); with `batch` the convolutions before them have
            no bias.
        pooled: average the map of verdicts to one an image.
    """

    def __init__(self, *, width: int = 64, norm: Norm = "instance", pooled: bool = False) -> None:
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
        if pooled:
            layers.append(nn.AdaptiveAvgPool2d(1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Judges images: (B, 3, H, W) in −1…1 => (B, 1, H/8 − 2, W/8 − 2), or (B, 1, 1, 1) pooled; 1 means real."""
        return self.layers(x)
