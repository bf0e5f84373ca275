"""A step with a loss or a gradient that is not finite: all four networks take it, or none does."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from monet.clock import Horizon
from monet.device import Precision
from monet.training import losses, step
from monet.training.trainer import Trainer
from tests.training.comparison import differences
from tests.training.test_trainer import Bench

EXTRA = ("--training.ema", "0.9", "--model.norm", "batch", "--training.pool_size", "3")


@contextlib.contextmanager
def spoil_loss(_: Trainer, networks: str) -> Iterator[None]:
    """Makes one loss infinite, with all images finite."""
    name, term = {
        "generators": ("generator_losses", "cycle_a"),
        "discriminators": ("discriminator_losses", "discriminator_b"),
    }[networks]
    inner = getattr(losses, name)

    def infinite(*words: Any, **options: Any) -> losses.Losses:
        found: losses.Losses = inner(*words, **options)
        if term in found.terms:
            found.terms[term] = found.terms[term] * math.inf
        return found

    with patch.object(step, name, infinite):
        yield


@contextlib.contextmanager
def spoil_gradient(trainer: Trainer, networks: str) -> Iterator[None]:
    """Makes one gradient infinite, with all losses finite."""
    parameter = getattr(trainer.state.networks, networks)()[3]

    def infinite(gradient: Tensor) -> Tensor:
        spoiled = gradient.clone()
        spoiled.view(-1)[0] = math.inf
        return spoiled

    handle = parameter.register_hook(infinite)
    yield
    handle.remove()


def set_scale(trainer: Trainer, scale: float) -> None:
    """Sets what the gradient scaler multiplies losses with."""
    trainer.state.scaler.load_state_dict({**trainer.state.scaler.state_dict(), "scale": scale})


def after_good_steps(data: Path, folder: Path, precision: Precision) -> tuple[Trainer, dict[str, Any]]:
    """A trainer that took three steps, whose pools are full, and a copy of its state."""
    trainer = Bench(data, folder, *EXTRA, precision=precision).start(Horizon(pairs=1000))
    if precision == "fp16":
        set_scale(trainer, 2.0**8)
    for _ in range(3):
        trainer.take_step(0.0)
    trainer.report()
    return trainer, copy.deepcopy(trainer.state.state_dict())


@pytest.mark.parametrize("networks", ["generators", "discriminators"])
@pytest.mark.parametrize(("spoil", "precision"), [(spoil_loss, "fp16"), (spoil_loss, "fp32"), (spoil_gradient, "fp32")])
def test_what_is_not_finite_in_one_optimizer_leaves_all_networks_averages_and_pools_as_they_were(
    tiny_data: Path, tmp_path: Path, networks: str, spoil: Any, precision: Precision
) -> None:
    trainer, before = after_good_steps(tiny_data, tmp_path, precision)
    with spoil(trainer, networks):
        trainer.take_step(0.0)
    trainer.take_step(0.0)  # noticed a step late, as on an accelerator
    trainer.report()
    kept = trainer.state.state_dict()
    assert len(trainer.state.incidents) == 1
    assert (trainer.state.counters.pairs, trainer.state.counters.skipped) == (8, 2)
    for contents in (before, kept):
        del contents["incidents"], contents["scaler"]
    assert differences(before, kept, ("counters", "lr")) == []
    trainer.take_step(0.0)
    trainer.report()
    assert differences(before["networks"], trainer.state.state_dict()["networks"]) != []


@pytest.mark.parametrize("networks", ["generators", "discriminators"])
def test_a_gradient_that_overflows_in_fp16_is_stepped_on_by_neither_optimizer_and_halves_the_scale(
    tiny_data: Path, tmp_path: Path, networks: str
) -> None:
    trainer, before = after_good_steps(tiny_data, tmp_path, "fp16")
    with spoil_gradient(trainer, networks):
        trainer.take_step(0.0)
    trainer.report()
    kept = trainer.state.state_dict()
    assert trainer.state.incidents == []
    assert (trainer.state.counters.pairs, trainer.state.counters.skipped) == (8, 0)
    assert trainer.state.scaler.get_scale() == 2.0**7
    assert differences(before, kept, ("counters", "lr", "scaler", "pools")) == []
    assert differences(before["pools"], kept["pools"]) != []  # its pairs count as seen
    trainer.take_step(0.0)
    trainer.report()
    changed = differences(before, trainer.state.state_dict())
    for name in ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b"):
        assert any(name in key for key in changed)
    assert trainer.state.scaler.get_scale() == 2.0**7


def test_half_of_the_optimizers_never_step(tiny_data: Path, tmp_path: Path) -> None:
    """Whatever the scale: where it is too large for the gradients of one optimizer, the other one does not step."""
    trainer, before = after_good_steps(tiny_data, tmp_path, "fp16")
    refused = {"generators": 0, "discriminators": 0}
    for power in range(8, 60, 2):
        set_scale(trainer, 2.0**power)
        trainer.take_step(0.0)
        steps = {
            name: int(next(iter(optimizer.state.values()))["step"])
            for name, optimizer in trainer.state.optimizers.items()
        }
        assert steps["generators"] == steps["discriminators"]
        refused = {name: trainer.state.counters.step - taken for name, taken in steps.items()}
    assert refused["generators"] > 0
    assert torch.isfinite(trainer.state.networks.generators()[0]).all()
    assert differences(before, trainer.state.state_dict(), ("counters",)) != []
