"""Steps that must not be taken: whatever is not finite, none of the four networks moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.gpu.engine import BOTH_WAYS, Engine, config_of, engine
from tests.gpu.part import Found, Place, require

TRIES = 12
"""Steps in which a scaler that begins at 65,536 must have found its scale."""


def refused_step(place: Place) -> Found:
    """Spoils a loss or a gradient on one side at a time, in fp16 and in the device's own precision."""
    spoils: dict[str, Callable[[Engine], list[Any]]] = {
        "the generators' loss": lambda one: _spoil_loss(one, "discriminator_b", of_generators=True),
        "the discriminators' loss": lambda one: _spoil_loss(one, "discriminator_b", of_generators=False),
        **{f"a gradient of {name}": _gradient_spoiler(name) for name in ("generator_ab", "generator_ba")},
        **{f"a gradient of {name}": _gradient_spoiler(name) for name in ("discriminator_a", "discriminator_b")},
    }
    one = engine(config_of(place, BOTH_WAYS, ["--training.batch_size", "2"]), place.torch_device, "fp16")
    other = engine(config_of(place, BOTH_WAYS, ["--training.batch_size", "2"]), place.torch_device)
    tried = [one] if other.precision == "fp16" else [one, other]
    for trained in tried:
        taken(trained)
        for what, spoil in spoils.items():
            require_refused(trained, what, spoil(trained))
    return Found(f"{len(spoils)} ways, in {' and '.join(trained.precision for trained in tried)}: none of four moved")


def overflow(place: Place) -> Found:
    """Begins with a scale at which every gradient overflows: the scaler must find the right one, and nothing move
    before that."""
    one = engine(config_of(place, BOTH_WAYS, ["--training.batch_size", "2"]), place.torch_device, "fp16")
    start = 2.0**40
    one.state.scaler = torch.amp.GradScaler(place.device, init_scale=start)
    refused = 0
    before = one.weights()
    while not (moved := one.moved(before)):
        before = one.weights()
        losses = one.step()
        require(bool(losses.isfinite().all()), f"losses {losses.tolist()} at a scale of {one.state.scaler.get_scale()}")
        refused += not one.moved(before)
        require(refused < 40, f"still refused at a scale of {one.state.scaler.get_scale():.0f}")
    require(len(moved) == 4, f"of four networks only {', '.join(moved)} took the first step without overflow")
    scale = one.state.scaler.get_scale()
    require(refused > 0, f"no overflow at a scale of {start:.0e}")
    require(scale == start / 2**refused, f"{refused} refused steps left a scale of {scale:.0f}, not half each time")
    return Found(f"{refused} steps refused, then all four moved, at a scale of {scale:.0f}", {"scale": scale})


def incident(place: Place) -> Found:
    """Shows a batch that is not finite: the guard counts the good steps, nothing moves, averages and running statistics
    included, until the host has looked."""
    words = ["--training.batch_size", "2", "--model.norm", "batch"]
    one = engine(config_of(place, BOTH_WAYS, words), place.torch_device)
    taken(one)
    one.execution.guard.read()
    good = one.real_a
    one.step()
    kept = _everything(one)
    one.real_a = torch.full_like(good, torch.nan)
    one.step()
    one.real_a = good
    one.step()  # the host has not looked yet
    require(_same(kept, _everything(one)), "a batch of NaN, or the step behind it, left traces")
    count = one.execution.guard.read()
    require(count == 1, f"the guard counts {count} good steps before the bad one, not 1")
    before = one.weights()
    one.step("fp32")
    require(len(one.moved(before)) == 4, "after the incident not all four networks take the next step, in fp32")
    return Found("nothing moved, averages and running statistics included; continued in fp32")


def require_refused(one: Engine, what: str, handles: list[Any]) -> None:
    """Takes a step that is spoiled, then one that is not.

    Raises:
        Refuted: some network moved, or one does not move any more.
    """
    before = one.weights()
    one.step()
    for handle in handles:
        handle.remove()
    moved = one.moved(before)
    require(not moved, f"{what} not finite, in {one.precision}: {', '.join(moved)} moved")
    one.execution.guard.read()
    taken(one)


def taken(one: Engine) -> None:
    """Takes steps until all four networks have moved; in fp16 the first ones may overflow.

    Raises:
        Refuted: some network does not move.
    """
    before = one.weights()
    for _ in range(TRIES):
        one.step()
        one.execution.guard.read()
        if len(one.moved(before)) == len(before):
            return
    moved = one.moved(before)
    still = [name for name in before if name not in moved]
    require(False, f"{', '.join(still)} did not move in {TRIES} steps in {one.precision}")


def _spoil_loss(one: Engine, network: str, *, of_generators: bool) -> list[Any]:
    """Makes a discriminator's predictions NaN in the generators' losses (where fakes have gradients), or in its own."""

    def spoil(_: nn.Module, inputs: tuple[Tensor, ...], predictions: Tensor) -> Tensor:
        return predictions * torch.nan if inputs[0].requires_grad == of_generators else predictions

    return [one.state.networks.named()[network].register_forward_hook(spoil)]


def _gradient_spoiler(network: str) -> Callable[[Engine], list[Any]]:
    """Makes one gradient of a network infinite."""

    def spoil(one: Engine) -> list[Any]:
        parameter = next(one.state.networks.named()[network].parameters())
        return [parameter.register_hook(_infinite)]  # type: ignore[no-untyped-call]

    return spoil


def _infinite(gradient: Tensor) -> Tensor:
    return torch.full_like(gradient, torch.inf)


def _everything(one: Engine) -> list[Tensor]:
    """Copies of all tensors that a checkpoint holds of the networks."""
    networks = [*one.state.networks.named().values(), *(one.state.ema.networks.values() if one.state.ema else ())]
    return [value.clone() for network in networks for value in network.state_dict().values()]


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))
