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

    Computed as group normalisation with one channel a group, which is the same function and faster on a CPU. PyTorch's
    kernels keep its statistics in fp32 whatever the input's type; the output has the input's type.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Normalises every image and channel by itself: (B, C, H, W) => (B, C, H, W)."""
        with torch.autocast(x.device.type, enabled=False):
            return F.group_norm(x, self.channels)

    def extra_repr(self) -> str:
        """Extra text for `print(module)`."""
        return str(self.channels)


class ResizeConvolution(nn.Conv2d):
    """Nearest-neighbour resize to twice the size, reflection padding and a 3×3 convolution (Odena et al. 2016).

    Each output pixel sees 2×2 different input pixels, so the three operations are one transposed convolution of stride
    2 whose 4×4 kernel holds sums of the 3×3 kernel's taps: the same function for less than half the operations. (The
    reflection of a resized image repeats the border pixel of the original: replication padding there.)
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) => (B, outputs, 2H, 2W)."""
        return F.conv_transpose2d(_replicated(x), self._summed(), self.bias, stride=2, padding=3)

    def as_transposed(self) -> nn.Sequential:
        """Returns the same function as two layers that every library knows."""
        kernel = self._summed().detach()
        inputs, outputs = kernel.shape[:2]
        layer = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=3, bias=self.bias is not None)
        layer.load_state_dict({"weight": kernel} if self.bias is None else {"weight": kernel, "bias": self.bias})
        return nn.Sequential(nn.ReplicationPad2d(1), layer.requires_grad_(False))

    def _summed(self) -> Tensor:
        """Returns the kernel of the transposed convolution: (inputs, outputs, 4, 4)."""
        outputs, inputs = self.weight.shape[:2]
        taps = F.pad(self.weight.flip(-1, -2).reshape(-1, 1, 3, 3), (1, 1, 1, 1))
        with torch.autocast(self.weight.device.type, enabled=False):
            summed = F.avg_pool2d(taps, 2, stride=1, divisor_override=1)
        return summed.reshape(outputs, inputs, 4, 4).transpose(0, 1)


def _replicated(x: Tensor) -> Tensor:
    """Pads by 1, replicating the edges. What PyTorch's own takes for the layout of its gradient is wrong when
    compiled."""
    if not torch.compiler.is_compiling():
        return F.pad(x, (1, 1, 1, 1), mode="replicate")
    x = torch.cat((x[..., :1, :], x, x[..., -1:, :]), -2)
    return torch.cat((x[..., :1], x, x[..., -1:]), -1)


class HeadConvolution(nn.Conv2d):
    """The convolution that ends a generator: few outputs, a large kernel, no padding of its own.

    While painting on a CPU the four output pixels of a 2×2 square are computed as channels of one convolution of stride
    2 with shifted kernels: the same function, and 2.5 times as fast, because three channels alone leave most of a
    processor's vector empty. (Training gains nothing by it.)
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H + k − 1, W + k − 1) => (B, outputs, H, W) for a k×k kernel."""
        outputs, inputs, k, _ = self.weight.shape
        odd = (x.shape[-2] - k) % 2 == 0 or (x.shape[-1] - k) % 2 == 0
        if torch.is_grad_enabled() or x.device.type != "cpu" or odd:
            return super().forward(x)
        shifts = [(left, 1 - left, top, 1 - top) for top in (0, 1) for left in (0, 1)]
        kernels = torch.stack([F.pad(self.weight, shift) for shift in shifts], 1)
        kernels = kernels.reshape(4 * outputs, inputs, k + 1, k + 1).contiguous(memory_format=torch.channels_last)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        return F.pixel_shuffle(F.conv2d(x, kernels, bias, stride=2), 2)


def full_precision(values: Tensor) -> Tensor:
    """Returns values in fp32 where they are in fp16 or bf16, else as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def norm_layer(kind: Norm) -> Callable[[int], nn.Module]:
    """Returns the constructor of a normalisation layer: channels => module."""
    return InstanceNorm if kind == "instance" else nn.BatchNorm2d


def start_as_identity(generator: nn.Module) -> None:
    """Sets the weights of the last convolution to 0, so that a generator with a skip returns its input at first."""
    convolutions = [layer for layer in generator.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    nn.init.zeros_(convolutions[-1].weight)


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
