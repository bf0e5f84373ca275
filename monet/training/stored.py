"""Loading a checkpoint whose tensors fit its own settings, for training and for painting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monet import checkpoint
from monet.config import Config, from_dict
from monet.errors import InputError
from monet.models import networks_without_memory
from monet.models.fit import Misfit, require_not_negative, require_same, require_tensor


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint to the CPU; see `monet.checkpoint.load`.

    Raises:
        InputError: it cannot be read, is damaged, or its tensors are not those of its settings.
    """
    contents = checkpoint.load(path)
    try:
        _require_fit(contents, from_dict(contents["config"]))
    except Misfit as error:
        raise InputError(f"checkpoint {path} is damaged: {error}; use another file in {path.parent}") from error
    return contents


def _require_fit(contents: dict[str, Any], config: Config) -> None:
    """Compares all tensors with those that the settings would make, before memory is taken for these."""
    networks = networks_without_memory(config.model)
    for name, network in networks.named().items():
        require_same(contents["networks"][name], network.state_dict(), f"networks.{name}")
    for name, average in (contents["ema"] or {}).items():
        require_same(average, networks.named()[name].state_dict(), f"ema.{name}")
    directions = config.training.directions
    optimized = {"generators": networks.generators(directions), "discriminators": networks.discriminators(directions)}
    for name, parameters in optimized.items():
        _require_moments(contents["optimizers"][name]["state"], parameters, f"optimizers.{name}.state")
    size, filled = config.training.pool_size, [target for _, target in directions]
    for name, pool in contents["pools"].items():
        where, images = f"pools.{name}.images", pool["images"]
        if images is not None:
            require_tensor(images, (size, 3, *config.data.crop), where)
            if images.dtype == torch.float64:
                raise Misfit(f"{where} is {images.dtype}, and no network makes such images")
        elif size > 0 and contents["counters"]["pairs"] > 0 and name in filled:
            raise Misfit(f"{where} is missing")


def _require_moments(state: dict[int, Any], parameters: Sequence[nn.Parameter], where: str) -> None:
    if sorted(state) not in ([], list(range(len(parameters)))):
        raise Misfit(f"{where} is of {len(state)} parameters, its settings make {len(parameters)}")
    for number, moments in state.items():
        require_tensor(moments["step"], (), f"{where}.{number}.step")
        for name in ("exp_avg", "exp_avg_sq"):
            require_tensor(moments[name], parameters[number].shape, f"{where}.{number}.{name}")
        for name in ("step", "exp_avg_sq"):
            require_not_negative(moments[name], f"{where}.{number}.{name}")
