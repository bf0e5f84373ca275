"""Whether tensors that were read are those that settings make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class Misfit(ValueError):
    """A tensor is not as the settings make it. The message says which."""


def require_same(stored: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """Checks the tensors of a network, by name.

    Args:
        stored: what was read.
        expected: of the network that the settings make; names, shapes and types are looked at, so they may be without
            memory.
        where: the network's name, for the message.

    Raises:
        Misfit: one is missing, unknown, or of another shape or type.
    """
    for name in sorted(stored.keys() ^ expected.keys()):
        raise Misfit(f"{where}.{name} is {'unknown to its settings' if name in stored else 'missing'}")
    for name, value in expected.items():
        require_tensor(stored[name], value.shape, f"{where}.{name}", value.dtype)
        if name.endswith("running_var"):
            require_not_negative(stored[name], f"{where}.{name}")


def require_not_negative(value: Tensor, where: str) -> None:
    """Checks that a tensor holds no value below 0.

    Raises:
        Misfit: it does.
    """
    if bool((value < 0).any()):
        raise Misfit(f"{where} has values below 0, and squares have none")


def require_tensor(value: Tensor, shape: Sequence[int], where: str, dtype: torch.dtype | None = None) -> None:
    """Checks the shape of a tensor, and its type: the one given, or any floating-point type.

    Raises:
        Misfit: it has another.
    """
    if tuple(value.shape) != tuple(shape):
        raise Misfit(f"{where} has the shape {list(value.shape)}, its settings make it {list(shape)}")
    if value.dtype != dtype if dtype else not value.is_floating_point():
        raise Misfit(f"{where} is {value.dtype}, its settings make it {dtype or 'floating-point'}")
