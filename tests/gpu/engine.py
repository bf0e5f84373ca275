"""Networks, optimizers and images of a recipe on a device: steps without data sets, and without the trainer's loop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from monet import recipes
from monet.config import Config
from monet.device import Precision, choose_precision
from monet.distributed import Group
from monet.settings import resolve
from monet.training.execution import Execution
from monet.training.state import TrainingState, memory_format
from monet.training.step import train_step
from tests.gpu.part import Place, require

TINY = [
    *("--data.load_size", "32", "--data.crop_size", "32", "--model.width", "4", "--model.residual_blocks", "1"),
    *("--model.discriminator_width", "4", "--training.pool_size", "4"),
]
"""Settings of a rehearsal: a step takes milliseconds."""


@dataclass
class Engine:
    """What takes steps.

    Attributes:
        execution: the state, and how steps are computed: compiled or not.
        real_a, real_b: the images of every step, (B, 3, H, W). Of several processes each has its share of a batch.
    """

    execution: Execution
    real_a: Tensor
    real_b: Tensor

    @property
    def state(self) -> TrainingState:
        """What is trained."""
        return self.execution.state

    @property
    def precision(self) -> Precision:
        """Of the convolutions."""
        return self.execution.precision

    def step(self, precision: Precision | None = None) -> Tensor:
        """Takes a step on the same images; returns the losses, on the device."""
        counters = self.state.counters
        pairs = range(counters.pairs, counters.pairs + len(self.real_a) * self.execution.group.world_size)
        losses = train_step(self.execution, self.real_a, self.real_b, pairs, precision or self.precision)
        counters.pairs, counters.step = pairs.stop, counters.step + 1
        return losses

    def weights(self) -> dict[str, list[Tensor]]:
        """Copies of the parameters of each network."""
        networks = self.state.networks.named()
        return {name: [p.detach().clone() for p in network.parameters()] for name, network in networks.items()}

    def moved(self, before: dict[str, list[Tensor]]) -> list[str]:
        """The networks whose parameters are no longer those of `weights()`."""
        now = self.weights()
        return [name for name in before if not all(map(torch.equal, before[name], now[name]))]

    def gradients(self) -> dict[str, list[Tensor]]:
        """What the first step gave each optimizer, by network: Adam's first moment holds 1 − β₁ of it."""
        found = {}
        for name, network in self.state.networks.named().items():
            optimizer = self.state.optimizers["generators" if name.startswith("generator") else "discriminators"]
            share = 1 - optimizer.defaults["betas"][0]
            moments = [optimizer.state[p].get("exp_avg") for p in network.parameters()]
            require(all(moment is not None for moment in moments), f"the first step left {name} where it was")
            found[name] = [moment / share for moment in moments]
        return found


BOTH_WAYS = str(Path(__file__).with_name("both-ways.yaml"))
"""A recipe with all four networks."""


def config_of(place: Place, recipe: str, words: Sequence[str] = ()) -> Config:
    """The settings of a recipe, tiny in a rehearsal."""
    return resolve(recipes.read(recipe), [*(TINY if place.tiny else []), "--training.device", place.device, *words])


def engine(
    config: Config,
    device: torch.device,
    precision: str = "auto",
    *,
    double: bool = False,
    layout: torch.memory_format | None = None,
    group: Group | None = None,
) -> Engine:
    """Networks as a run has them at pair 0, and random images, the same on every device.

    Args:
        config: the settings.
        device: where all of it goes.
        precision: as `training.precision`.
        double: networks and images are float64.
        layout: of networks and images; a run's own by default.
        group: the processes that take steps together.
    """
    group = group or Group()
    chosen = choose_precision(precision, device, time.monotonic)
    state = TrainingState.create(config, device, chosen)
    layout = layout or memory_format(device)
    for network in (*state.networks.named().values(), *(state.ema.networks.values() if state.ema else ())):
        network.to(torch.float64 if double else torch.float32).to(memory_format=layout)
    size = config.training.batch_size
    generator = torch.Generator().manual_seed(1)
    images = (
        torch.rand(2, size * group.world_size, 3, *config.data.crop, generator=generator, dtype=torch.float64) * 2 - 1
    )
    own = group.shard(range(size * group.world_size))
    real_a, real_b = (
        x[own.start : own.stop].to(device, torch.float64 if double else torch.float32).contiguous(memory_format=layout)
        for x in images
    )
    return Engine(Execution(config, state, device, chosen, group), real_a, real_b)


def distance(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """The relative error of several tensors taken together, in the Euclidean norm, computed in float64 on the CPU."""
    left, right = (torch.cat([x.detach().cpu().double().reshape(-1) for x in side]) for side in (one, other))
    return float((left - right).norm() / right.norm().clamp(min=1e-300))


@contextlib.contextmanager
def out_of_memory_once() -> Iterator[None]:
    """The first gradient that is asked for finds no memory."""
    real, calls = torch.autograd.grad, []

    def grad(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("out of memory, to see what happens")
        return real(*arguments, **options)

    with patch.object(torch.autograd, "grad", grad):
        yield
