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
from monet.device import Precision
from monet.distributed import Group
from monet.models import Networks
from monet.training.checkpoints import Saving
from monet.training.events import Listeners, StepEvent
from monet.training.execution import Execution
from monet.training.losses import loss_names
from monet.training.state import TrainingState
from monet.training.step import train_step
from monet.training.trainer import Trainer
from tests.training.comparison import differences

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


def execution(
    training: Mapping[str, Any] | None = None, group: Group | None = None, precision: Precision = "fp32", **model: Any
) -> Execution:
    """Tiny networks in float64, on one process or in a group of them."""
    settings = {"batch_size": BATCH, "pool_size": POOL, "seed": 5, **(training or {})}
    config = Config(
        data=DataConfig(load_size=32, crop_size=32),
        model=ModelConfig(width=4, residual_blocks=2, discriminator_width=4, **model),
        training=TrainingConfig(**settings),
    )
    state = TrainingState.create(config, torch.device("cpu"), precision)
    for network in state.networks.named().values():
        network.double()
        for parameter in network.parameters():  # larger weights than 0.02: no loss or gradient is tiny
            parameter.data.mul_(5)
    return Execution(config, state, torch.device("cpu"), precision, group)


def trainer(
    tmp_path: Path,
    training: Mapping[str, Any] | None = None,
    group: Group | None = None,
    *,
    source: Batches | None = None,
    listeners: Listeners | None = None,
    precision: Precision = "fp32",
    **model: Any,
) -> Trainer:
    """A trainer of such networks."""
    return Trainer(
        execution(training, group, precision, **model),
        source or Batches(),  # type: ignore[arg-type]
        Timekeeper(Horizon(pairs=1000), clock=time.monotonic),
        Saving(tmp_path, {}),
        clock=time.monotonic,
        listeners=listeners,
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
        taken.losses.append(engine.take_step(0.0))
        engine.report()
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
    reported: list[StepEvent] = []
    engine = trainer(tmp_path, listeners=Listeners(on_step=reported.append), **model)
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


def first_step(engine: Execution) -> Tensor:
    """Takes a step on the first pairs; returns its losses."""
    return train_step(engine, *Batches().batch(range(BATCH)), range(BATCH), "fp32")


def test_a_step_returns_the_losses_by_the_order_of_their_names() -> None:
    for weight in (0.5, 0.0):
        engine = execution({"lambda_identity": weight})
        reference = copy.deepcopy(engine.state.networks)
        pools = (LiteralPool(5, Purpose.POOL_A), LiteralPool(5, Purpose.POOL_B))
        expected, _ = paper(reference, *Batches().batch(range(BATCH)), pools, 0)
        found = dict(zip(loss_names(TrainingConfig(lambda_identity=weight)), first_step(engine).tolist(), strict=True))
        expected["generator"] -= (0.0 if weight else 1.0) * (expected["identity_a"] + expected["identity_b"])
        for name, value in found.items():
            assert value == pytest.approx(expected[name].item(), rel=1e-6), name


@pytest.mark.parametrize("lambda_identity", [0.0, 0.5])
def test_without_a_cycle_a_step_is_that_of_one_generator_and_one_discriminator(lambda_identity: float) -> None:
    engine = execution({"lambda_cycle": 0.0, "lambda_identity": lambda_identity, "ema": 0.9})
    before, networks = copy.deepcopy(engine.state.networks), engine.state.networks
    a, b = Batches().batch(range(BATCH))
    names = loss_names(engine.config.training)
    found = dict(zip(names, first_step(engine).tolist(), strict=True))

    fake = before.generator_ab(a)
    adversarial = torch.mean((before.discriminator_b(fake) - 1) ** 2)
    on_fake, on_real = before.discriminator_b(fake.detach()), before.discriminator_b(b)
    judged = torch.mean(0.5 * (on_real - 1) ** 2) + torch.mean(0.5 * on_fake**2)
    expected = {"generator": adversarial, "adversarial_ab": adversarial, "discriminator_b": judged}
    assert found == {name: pytest.approx(value.item(), rel=1e-6) for name, value in expected.items()}
    optimizer = torch.optim.Adam(before.generator_ab.parameters(), engine.config.training.learning_rate, (0.5, 0.999))
    adversarial.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    for moved, one in zip(networks.generator_ab.parameters(), before.generator_ab.parameters(), strict=True):
        assert torch.allclose(moved, one, atol=1e-7)
    for name in ("generator_ba", "discriminator_a"):
        unmoved = before.named()[name].state_dict()
        assert all(torch.equal(value, unmoved[key]) for key, value in networks.named()[name].state_dict().items())


def test_a_step_moves_all_four_networks_and_leaves_no_gradients() -> None:
    engine = execution({"ema": 0.9})
    before = copy.deepcopy(engine.state.networks.named())
    first_step(engine)
    for name, network in engine.state.networks.named().items():
        moved = [not torch.equal(one, two) for one, two in zip(network.parameters(), before[name].parameters())]  # noqa: B905
        assert all(moved), name
        assert all(parameter.grad is None for parameter in network.parameters())
    assert not engine.updating


def test_the_order_is_the_papers() -> None:
    """Generators, image pools, discriminators, then the optimizers, then the average."""
    engine, order = execution({"ema": 0.9}), []
    for name, network in engine.state.networks.named().items():
        for parameter in list(network.parameters())[:1]:
            kind = name.split("_")[0]
            parameter.register_hook(lambda _, kind=kind: order.append(f"gradient {kind}"))  # type: ignore[no-untyped-call]
    for name, pool in engine.state.pools.items():
        exchange = pool.exchange
        pool.exchange = lambda *words, n=name, e=exchange: order.append(f"pool {n}") or e(*words)  # type: ignore
    for name, optimizer in engine.state.optimizers.items():
        optimizer.register_step_pre_hook(lambda *_, name=name: order.append(f"step {name}"))
    assert engine.state.ema
    update = engine.state.ema.update
    engine.state.ema.update = lambda *words: order.append("average") or update(*words)  # type: ignore
    first_step(engine)
    assert list(dict.fromkeys(order)) == [
        *("gradient generator", "pool a", "pool b", "gradient discriminator"),
        *("step generators", "step discriminators", "average"),
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_step_on_images_that_are_not_finite_changes_nothing(value: float) -> None:
    engine = execution({"ema": 0.9}, norm="batch")
    first_step(engine)
    before = copy.deepcopy(engine.state.state_dict())
    a, b = Batches().batch(range(BATCH))
    losses = train_step(engine, a * value, b, range(BATCH, 2 * BATCH), "fp32")
    assert not losses.isfinite().all()
    assert differences(before, engine.state.state_dict()) == []
    assert engine.guard.read() == 1


def test_a_step_that_fails_before_the_optimizers_leaves_the_state_as_it_was() -> None:
    engine = execution({"ema": 0.9}, norm="batch")
    first_step(engine)
    before = copy.deepcopy(engine.state.state_dict())

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    engine.state.networks.discriminator_b.register_forward_hook(fail)
    with pytest.raises(ZeroDivisionError):
        first_step(engine)
    assert not engine.updating
    assert differences(before, engine.state.state_dict()) == []
    assert all(parameter.grad is None for parameter in engine.state.networks.generators())
