"""The paper's step against a literal transcription of it, in float64."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monet.clock import Horizon, Timekeeper
from monet.config import Config, DataConfig, ModelConfig, TrainingConfig
from monet.data.stream import Purpose, uniforms
from monet.distributed import Group
from monet.models import Networks
from monet.training.events import Listeners, StepEvent
from monet.training.state import TrainingState
from monet.training.trainer import Trainer

BATCH, POOL, STEPS = 2, 3, 6


class LiteralPool:
    """As Shrivastava et al. describe it: fill up; then, with probability ½, hand out an old image for a new one."""

    def __init__(self, seed: int, purpose: Purpose) -> None:
        self.stored: list[Tensor] = []
        self.seed, self.purpose = seed, purpose

    def query(self, image: Tensor, pair: int) -> Tensor:
        chance, place = uniforms(self.seed, self.purpose, pair, 2)
        if len(self.stored) < POOL:
            self.stored.append(image)
            return image
        if chance < 0.5:
            index = int(place * POOL)
            old, self.stored[index] = self.stored[index], image
            return old
        return image


def paper(networks: Networks, a: Tensor, b: Tensor, pools: tuple[LiteralPool, LiteralPool], first_pair: int):
    """Losses and gradients of one step, written down from the paper with nothing of the package but the networks."""
    g, f = networks.generator_ab, networks.generator_ba  # G: A -> B, F: B -> A
    d_a, d_b = networks.discriminator_a, networks.discriminator_b
    fake_b, fake_a = g(a), f(b)
    losses = {
        "adversarial_ab": torch.mean((d_b(fake_b) - 1) ** 2),
        "adversarial_ba": torch.mean((d_a(fake_a) - 1) ** 2),
        "cycle_a": 10 * torch.mean(torch.abs(f(fake_b) - a)),
        "cycle_b": 10 * torch.mean(torch.abs(g(fake_a) - b)),
        "identity_a": 5 * torch.mean(torch.abs(f(a) - a)),
        "identity_b": 5 * torch.mean(torch.abs(g(b) - b)),
    }
    total = torch.stack(list(losses.values())).sum()
    generators = [*g.parameters(), *f.parameters()]
    gradients = list(torch.autograd.grad(total, generators))
    shown_a = torch.stack([pools[0].query(image.detach(), first_pair + i) for i, image in enumerate(fake_a)])
    shown_b = torch.stack([pools[1].query(image.detach(), first_pair + i) for i, image in enumerate(fake_b)])
    for name, judge, real, shown in (("discriminator_a", d_a, a, shown_a), ("discriminator_b", d_b, b, shown_b)):
        losses[name] = 0.5 * (torch.mean((judge(real) - 1) ** 2) + torch.mean(judge(shown) ** 2))
        gradients += torch.autograd.grad(losses[name], list(judge.parameters()))
    return {"generator": total, **losses}, gradients


class Batches:
    """A source of float64 batches."""

    class stream:  # noqa: N801
        samples_per_epoch = 1000

    def batch(self, pairs: range) -> tuple[Tensor, Tensor]:
        generators = [torch.Generator().manual_seed(pair) for pair in pairs]
        return tuple(  # type: ignore[return-value]
            torch.stack([torch.rand(3, 32, 32, dtype=torch.float64, generator=g) * 2 - 1 for g in generators])
            for _ in "ab"
        )


def trainer(
    tmp_path: Path, training: Mapping[str, Any] | None = None, group: Group | None = None, **model: Any
) -> Trainer:
    """A trainer in float64, on one process or in a group of them."""
    settings = {"batch_size": BATCH, "pool_size": POOL, "seed": 5, **(training or {})}
    config = Config(
        data=DataConfig(load_size=32, crop_size=32),
        model=ModelConfig(width=4, residual_blocks=2, discriminator_width=4, **model),
        training=TrainingConfig(**settings),
    )
    state = TrainingState.create(config, torch.device("cpu"), "fp32")
    for network in state.networks.named().values():
        network.double()
        for parameter in network.parameters():  # larger weights than 0.02: no loss or gradient is tiny
            parameter.data.mul_(5)
    return Trainer(
        config,
        state,
        Batches(),  # type: ignore[arg-type]
        Timekeeper(Horizon(pairs=1000), clock=time.monotonic),
        device=torch.device("cpu"),
        precision="fp32",
        clock=time.monotonic,
        checkpoints=tmp_path,
        facts={},
        group=group,
    )


@dataclass
class Taken:
    """What steps left behind."""

    losses: list[Tensor]
    gradients: list[list[Tensor]]
    """Of the generators, then of the discriminators, a list a step."""


def steps(engine: Trainer, count: int) -> Taken:
    """Takes steps, and keeps the gradients that the optimizers were given."""
    seen: dict[str, list[Tensor]] = {}
    taken = Taken([], [])
    for name, optimizer in engine.state.optimizers.items():

        def keep(inner, *_, name=name) -> None:
            seen[name] = [p.grad.clone() for group in inner.param_groups for p in group["params"]]

        optimizer.register_step_pre_hook(keep)
    for _ in range(count):
        engine._step(0.0)
        taken.losses.append(engine._taken[-1].losses)
        engine._sync()
        taken.gradients.append(seen["generators"] + seen["discriminators"])
    return taken


def largest_difference(one: Taken, two: Taken) -> float:
    """Of two gradients, as a share of the larger of 1 and the largest entry of their tensor."""
    return max(
        float((mine - theirs).abs().max() / theirs.abs().max().clamp(min=1.0))
        for left, right in zip(one.gradients, two.gradients, strict=True)
        for mine, theirs in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("model", [{}, {"norm": "batch"}, {"upsample": "resize"}, {"discriminator": "pooled"}])
def test_losses_and_gradients_of_all_four_networks_are_the_papers(tmp_path: Path, model: dict[str, Any]) -> None:
    engine = trainer(tmp_path, **model)
    reported: list[StepEvent] = []
    engine._listeners = Listeners(on_step=reported.append)
    pools = (LiteralPool(5, Purpose.POOL_A), LiteralPool(5, Purpose.POOL_B))
    shown_old = 0
    for step in range(STEPS):
        pairs = range(step * BATCH, (step + 1) * BATCH)
        reference = Networks(**copy.deepcopy(engine.state.networks.named()))
        before = [list(pool.stored) for pool in pools]
        expected, expected_gradients = paper(reference, *Batches().batch(pairs), pools, pairs.start)
        shown_old += sum(
            any(new is not old for new, old in zip(pool.stored, stored, strict=False))
            for pool, stored in zip(pools, before, strict=True)
        )

        taken = steps(engine, 1)
        raw = dict(zip(["generator", *list(expected)[1:]], taken.losses[0].tolist(), strict=True))
        for name, value in expected.items():
            assert raw[name] == pytest.approx(value.item(), rel=1e-6), name  # reported in fp32
        assert largest_difference(taken, Taken([], [expected_gradients])) <= 1e-9
        assert reported[-1].losses.keys() == expected.keys()
    assert shown_old > 2  # the pools did exchange images, so they were tested


def test_losses_agree_to_1e9_in_float64(tmp_path: Path) -> None:
    from monet.training.step import DIRECTIONS, discriminator_loss, generator_pass

    engine = trainer(tmp_path)
    a, b = Batches().batch(range(2))
    expected, _ = paper(
        engine.state.networks, a, b, (LiteralPool(5, Purpose.POOL_A), LiteralPool(5, Purpose.POOL_B)), 0
    )
    networks = engine.state.networks
    ab, ba = (
        generator_pass(networks, direction, a, b, lambda_cycle=10.0, lambda_identity=0.5) for direction in DIRECTIONS
    )
    judged = {
        "discriminator_a": discriminator_loss(networks.discriminator_a, a, ba.fake),
        "discriminator_b": discriminator_loss(networks.discriminator_b, b, ab.fake),
    }
    assert ab.total.dtype == ba.total.dtype == torch.float64
    for name, value in {"generator": ab.total + ba.total, **ab.losses, **ba.losses, **judged}.items():
        assert abs(value.item() - expected[name].item()) < 1e-9 * max(1.0, abs(expected[name].item())), name


def test_without_identity_loss_its_passes_are_left_out(tmp_path: Path) -> None:
    from monet.training.step import DIRECTIONS, generator_pass

    engine = trainer(tmp_path)
    calls: list[int] = []
    for name in ("generator_ab", "generator_ba"):
        engine.state.networks.named()[name].register_forward_hook(lambda *_: calls.append(1))
    a, b = Batches().batch(range(2))
    for direction in DIRECTIONS:
        made = generator_pass(engine.state.networks, direction, a, b, lambda_cycle=10.0, lambda_identity=0.0)
        assert len(made.losses) == 2
    assert len(calls) == 4
