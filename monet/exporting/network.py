"""A generator as other runtimes can carry it out: usual layers, images of any size in and out."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from monet.data.pixels import HALF_RANGE
from monet.generation.padding import Padding
from monet.models.layers import HeadConvolution, InstanceNorm, ResizeConvolution


class AnySize(nn.Module):
    """A generator between padding and cropping: (B, 3, H, W) in −1…1 => the same shape and range, H and W at least 1.

    Args:
        generator: left as it is.
        padding: what it needs.
    """

    def __init__(self, generator: nn.Module, padding: Padding) -> None:
        super().__init__()
        self.generator = _usual(generator)
        self.padding = padding

    def forward(self, images: Tensor) -> Tensor:
        """Translates images."""
        height, width = images.shape[-2:]
        return self.generator(self.padding.continued(images))[..., :height, :width].clamp(-1, 1)


class InPixels(nn.Module):
    """The same for 8-bit pixels: (B, H, W, 3) uint8 => the same shape.

    Args:
        inner: takes and returns −1…1.
    """

    def __init__(self, inner: AnySize) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, pixels: Tensor) -> Tensor:
        """Translates images."""
        images = pixels.permute(0, 3, 1, 2).float() / HALF_RANGE - 1
        translated = (self.inner(images) + 1) * HALF_RANGE
        return translated.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _usual(generator: nn.Module) -> nn.Module:
    """Returns a copy in which layers that are computed in a way of their own are those that every runtime knows."""
    changed = copy.deepcopy(generator)
    for module in list(changed.modules()):
        for name, child in module.named_children():
            setattr(module, name, _usual_layer(child))
    return changed


def _usual_layer(layer: nn.Module) -> nn.Module:
    """Returns the same function in layers that every runtime knows; most are."""
    if isinstance(layer, InstanceNorm):
        return nn.InstanceNorm2d(layer.channels)
    if isinstance(layer, ResizeConvolution):
        return layer.as_transposed()
    if isinstance(layer, HeadConvolution):
        side, _ = layer.kernel_size
        usual = nn.Conv2d(layer.in_channels, layer.out_channels, side, bias=layer.bias is not None)
        usual.load_state_dict(layer.state_dict())
        return usual.requires_grad_(False)
    return layer
