"""Compiled networks while a run is trained: what makes new graphs, and what becomes of a compiler that fails then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import fx

from monet import checkpoint
from monet.clock import Horizon
from monet.device import Precision
from monet.training.compiling import compile_networks
from monet.training.trainer import Trainer
from tests.training.comparison import differences
from tests.training.test_memory import limit
from tests.training.test_trainer import Bench

GRAPHS = 4
"""Of a step: generators and discriminators see photos and paintings together, and fakes alone."""


class Compiler:
    """A backend that counts the graphs that it is given, runs them as they are, and may fail."""

    def __init__(self) -> None:
        self.graphs = 0
        self.fails_from = 1_000

    def __call__(self, graph: fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., object]:
        self.graphs += 1
        if self.graphs > self.fails_from:
            raise AssertionError("no kernel for this graph\nand much more")
        return graph.forward


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiler]:
    torch._dynamo.reset()
    backend = Compiler()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    yield backend
    torch._dynamo.reset()


def started(data: Path, folder: Path, *overrides: str, precision: Precision = "fp32", compiled: bool = True) -> Trainer:
    """A trainer whose networks are compiled."""
    bench = Bench(data, folder, "--training.batch_size", "4", *overrides, precision=precision)
    trainer = bench.start(Horizon(pairs=1000))
    bench.clock_hook.remove()  # it is no part of a graph
    if compiled:
        assert compile_networks(trainer.execution)
    return trainer


def taken(trainer: Trainer, steps: int) -> Trainer:
    """The trainer after so many further steps."""
    for _ in range(steps):
        trainer.take_step(0.0)
        trainer.report()
    return trainer


def test_steps_in_another_precision_make_no_graphs(tiny_data: Path, tmp_path: Path, compiler: Compiler) -> None:
    trainer = taken(started(tiny_data, tmp_path, precision="bf16"), 1)
    assert compiler.graphs == GRAPHS
    trainer.state.counters.fp32_until = 12
    compiler.fails_from = GRAPHS
    taken(trainer, 2)
    assert trainer.execution.networks_for("fp32") is trainer.state.networks
    taken(trainer, 1)
    assert trainer.execution.compiled
    assert trainer.execution.networks_for("bf16") is not trainer.state.networks
    assert compiler.graphs == GRAPHS


@pytest.mark.parametrize("processes_batch", [3, 6])
def test_a_batch_in_parts_makes_as_few_graphs_as_a_whole_one(
    tiny_data: Path, tmp_path: Path, compiler: Compiler, processes_batch: int
) -> None:
    words = ("--training.batch_size", str(processes_batch), "--training.accumulation", "2")
    taken(started(tiny_data, tmp_path, *words), 2)
    assert compiler.graphs == GRAPHS


@pytest.mark.parametrize("fails_from", [GRAPHS, GRAPHS + 2])
def test_a_compiler_that_fails_after_a_split_for_memory_is_done_without_and_the_step_is_the_same(
    tiny_data: Path, tmp_path: Path, compiler: Compiler, caplog: pytest.LogCaptureFixture, fails_from: int
) -> None:
    tight = "discriminator_b" if fails_from > GRAPHS + 1 else "generator_ab"
    plain = started(tiny_data, tmp_path / "plain", compiled=False)
    trainer = started(tiny_data, tmp_path / "compiled")
    compiler.fails_from = fails_from
    for engine in (plain, trainer):
        limit(engine, tight, 4)
        taken(engine, 3)
    assert trainer.execution.parts == 2
    assert not trainer.execution.compiled
    assert compiler.graphs == fails_from + 1
    *splits, failed = (record.message for record in caplog.records if record.name.startswith("monet"))
    assert [split.startswith("out of memory with 4 pairs at once") for split in splits] == [True, True]
    assert failed == "torch.compile fails here (AssertionError: no kernel for this graph): continuing without it"
    assert differences(plain.state.state_dict(), trainer.state.state_dict()) == []


@pytest.mark.parametrize("graph", [1, 3])
def test_a_compiler_that_fails_within_a_step_leaves_no_half_of_it(
    tiny_data: Path, tmp_path: Path, compiler: Compiler, graph: int
) -> None:
    """Running statistics would count a batch twice, gradients would be added up, the pool would exchange once more."""
    extra = ("--model.norm", "batch", "--training.ema", "0.9")
    plain = taken(started(tiny_data, tmp_path / "plain", *extra, compiled=False), 2)
    trainer = started(tiny_data, tmp_path / "compiled", *extra)
    torch._dynamo.reset()  # its graphs are gone: the first step compiles again
    compiler.graphs, compiler.fails_from = 0, graph
    taken(trainer, 2)
    assert not trainer.execution.compiled
    assert differences(plain.state.state_dict(), trainer.state.state_dict()) == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_checkpoint_holds_whether_the_networks_are_compiled(
    tiny_data: Path, tmp_path: Path, compiler: Compiler, fails: bool
) -> None:
    trainer = taken(started(tiny_data, tmp_path), 1)
    if fails:
        torch._dynamo.reset()
        compiler.fails_from = 0
        taken(trainer, 1)
    trainer.save()
    assert checkpoint.load(tmp_path / checkpoint.LAST)["compiled"] is (not fails)
