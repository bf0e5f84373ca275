"""Loading a checkpoint whose tensors fit its own settings, for training and for painting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monet import checkpoint
from monet.config import Config, from_dict
from monet.errors import InputError
from monet.models import networks_without_memory


class _Misfit(ValueError):
    """A tensor is not as the settings make it. The message says which."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint to the CPU; see `monet.checkpoint.load`.

    Raises:
        InputError: it cannot be read, is damaged, or its tensors are not those of its settings.
    """
    contents = checkpoint.load(path)
    try:
        _require_fit(contents, from_dict(contents["config"]))
    except _Misfit as error:
        raise InputError(f"checkpoint {path} is damaged: {error}; use another file in {path.parent}") from error
    return contents


def _require_fit(contents: dict[str, Any], config: Config) -> None:
    """Compares all tensors with those that the settings would make, before memory is taken for these."""
    networks = networks_without_memory(config.model)
    for name, network in networks.named().items():
        _require_same(contents["networks"][name], network.state_dict(), f"networks.{name}")
    for name, average in (contents["ema"] or {}).items():
        _require_same(average, networks.named()[name].state_dict(), f"ema.{name}")
    directions = config.training.directions
    optimized = {"generators": networks.generators(directions), "discriminators": networks.discriminators(directions)}
    for name, parameters in optimized.items():
        _require_moments(contents["optimizers"][name]["state"], parameters, f"optimizers.{name}.state")
    size, filled = config.training.pool_size, [target for _, target in directions]
    for name, pool in contents["pools"].items():
        where, images = f"pools.{name}.images", pool["images"]
        if images is not None:
            _require(images, (size, 3, *config.data.crop), where)
            if images.dtype == torch.float64:
                raise _Misfit(f"{where} is {images.dtype}, and no network makes such images")
        elif size > 0 and contents["counters"]["pairs"] > 0 and name in filled:
            raise _Misfit(f"{where} is missing")


def _require_moments(state: dict[int, Any], parameters: Sequence[nn.Parameter], where: str) -> None:
    if sorted(state) not in ([], list(range(len(parameters)))):
        raise _Misfit(f"{where} is of {len(state)} parameters, its settings make {len(parameters)}")
    for number, moments in state.items():
        _require(moments["step"], (), f"{where}.{number}.step")
        for name in ("exp_avg", "exp_avg_sq"):
            _require(moments[name], parameters[number].shape, f"{where}.{number}.{name}")
        for name in ("step", "exp_avg_sq"):
            _require_not_negative(moments[name], f"{where}.{number}.{name}")


def _require_same(stored: dict[str, Tensor], expected: dict[str, Tensor], where: str) -> None:
    for name in sorted(stored.keys() ^ expected.keys()):
        raise _Misfit(f"{where}.{name} is {'unknown to its settings' if name in stored else 'missing'}")
    for name, value in expected.items():
        _require(stored[name], value.shape, f"{where}.{name}", value.dtype)
        if name.endswith("running_var"):
            _require_not_negative(stored[name], f"{where}.{name}")


def _require_not_negative(value: Tensor, where: str) -> None:
    if bool((value < 0).any()):
        raise _Misfit(f"{where} has values below 0, and squares have none")


def _require(value: Tensor, shape: Sequence[int], where: str, dtype: torch.dtype | None = None) -> None:
    """Checks the shape of a tensor, and its type: the one given, or any floating-point type."""
    if tuple(value.shape) != tuple(shape):
        raise _Misfit(f"{where} has the shape {list(value.shape)}, its settings make it {list(shape)}")
    if value.dtype != dtype if dtype else not value.is_floating_point():
        raise _Misfit(f"{where} is {value.dtype}, its settings make it {dtype or 'floating-point'}")
