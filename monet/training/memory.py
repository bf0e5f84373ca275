"""Less memory for the same step: a batch in parts, recomputed activations; and which errors mean a lack of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from monet.errors import MonetError
from monet.models import Networks

_OUT_OF_MEMORY = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "unable to find an engine to execute this computation",  # cuDNN: none that can do with what is left
    "Unable to find a valid cuDNN algorithm",
    "DefaultCPUAllocator",
)
"""Words in the errors of libraries that have no class for it."""


class OutOfMemory(MonetError):
    """A step has not enough memory, even after a retry with the batch in more parts, where it can be split."""


class Recomputing(nn.Module):
    """A network that keeps no activations for its gradient, but computes them once more (Chen et al. 2016)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Applies the network, (B, 3, H, W) to (B, 3, H, W)."""
        return checkpoint(self.network, x, use_reentrant=False, preserve_rng_state=False)  # it draws no random numbers


def recomputing(networks: Networks) -> Networks:
    """Returns the networks with generators that recompute activations; the discriminators keep few of them."""
    generators = {
        "generator_ab": Recomputing(networks.generator_ab),
        "generator_ba": Recomputing(networks.generator_ba),
    }
    return Networks(**{**networks.named(), **generators})


def equal_parts(size: int, least: int) -> int:
    """Returns the smallest number of equal parts of a batch that is `least` or more; at most the batch's size.

    Parts of two sizes would be two shapes: twice as many graphs to compile, and algorithms to choose.
    """
    return next((count for count in range(least, size) if size % count == 0), size)


def slices(size: int, least: int) -> list[tuple[slice, float]]:
    """Returns slices of equal length, each with its share of the whole."""
    step = size // equal_parts(size, least)
    return [(slice(start, start + step), step / size) for start in range(0, size, step)]


def out_of_memory(error: Exception) -> bool:
    """Returns whether an error means that memory ran out: Python and PyTorch on CUDA have classes for it, others only
    words."""
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
    return said or isinstance(error, (torch.OutOfMemoryError, MemoryError))


def pairs_at_once(size: int, least_parts: int) -> str:
    """Describes how many pairs go through the networks together."""
    pairs = size // equal_parts(size, least_parts)
    return f"{pairs} pairs at once" if pairs > 1 else "one pair at once"
