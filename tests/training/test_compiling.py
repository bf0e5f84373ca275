from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monet.config import Config
from monet.device import compile_problem
from monet.models import DIRECTIONS, Direction, Networks
from monet.settings import resolve
from monet.training import step
from monet.training.compiling import compile_networks
from monet.training.execution import Execution
from monet.training.losses import Losses, generator_losses
from monet.training.state import TrainingState
from tests.conftest import TINY

CPU = torch.device("cpu")


def tiny(**model: str) -> Config:
    return resolve({"model": model}, TINY)


def snapshot(state: TrainingState) -> list[Tensor]:
    networks = state.networks.named().values()
    return [value.clone() for network in networks for value in network.state_dict().values()]


def same(state: TrainingState, before: list[Tensor]) -> bool:
    return all(torch.equal(value, kept) for value, kept in zip(snapshot(state), before, strict=True))


@pytest.mark.parametrize(
    ("model", "training"),
    [
        pytest.param({"upsample": "resize", "norm": "batch"}, {}, id="as they are"),
        pytest.param(
            {}, {"activation_checkpointing": True, "accumulation": 2}, id="computed once more", marks=pytest.mark.slow
        ),
    ],
)
@pytest.mark.skipif(compile_problem(CPU) is not None, reason="needs a C++ compiler that torch.compile can use")
def test_compiled_networks_are_the_same_functions_and_trying_them_out_leaves_nothing(
    model: dict[str, str], training: dict[str, object]
) -> None:
    config = resolve({"model": model, "training": training}, TINY)
    state = TrainingState.create(config, CPU, "fp32")
    before = snapshot(state)
    execution = Execution(config, state, CPU, "fp32")
    assert compile_networks(execution)
    networks = execution.networks_for("fp32")
    assert networks is not state.networks
    assert same(state, before)
    assert all(p.grad is None for p in state.networks.generators() + state.networks.discriminators())
    a, b = (torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in (3, 4))

    def passed(which: Networks, direction: Direction) -> tuple[Losses, list[Tensor]]:
        made = generator_losses(which, a, b, direction=direction, lambda_cycle=10.0, lambda_identity=0.5)
        return made, list(torch.autograd.grad(made.total, state.networks.generators()))

    for direction in DIRECTIONS:
        (eager, gradients), (compiled, compiled_gradients) = (
            passed(which, direction) for which in (state.networks, networks)
        )
        compare(eager, gradients, compiled, compiled_gradients)


def compare(eager: Losses, gradients: list[Tensor], compiled: Losses, compiled_gradients: list[Tensor]) -> None:
    for name, loss in eager.terms.items():
        assert compiled.terms[name].item() == pytest.approx(loss.item(), rel=1e-5)
    for one, other in zip(gradients, compiled_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=3e-5)  # sums in another order


def test_a_compiler_that_fails_on_the_networks_is_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> Losses:
        for network in state.networks.named().values():
            for buffer in network.buffers():
                buffer.add_(1)  # as a batch does that gets half way
        raise AssertionError("expected size 32==32, stride 1==4096\nand much more")

    config = tiny(norm="batch")
    state = TrainingState.create(config, CPU, "fp32")
    before = snapshot(state)
    monkeypatch.setattr(step, "generator_losses", broken)
    execution = Execution(config, state, CPU, "fp32")
    assert not compile_networks(execution)
    assert execution.networks_for("fp32") is state.networks
    assert same(state, before)
    assert "torch.compile fails here (AssertionError: expected size 32==32, stride 1==4096): continuing" in caplog.text
