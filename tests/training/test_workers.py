"""Steps that threads share: the same losses and gradients, to the bit, and who decides that they are shared."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monet import checkpoint
from monet.clock import Horizon
from monet.device import Precision
from monet.errors import MonetError
from monet.settings import resolve
from monet.training import workers as workers_module
from monet.training.execution import Execution
from monet.training.losses import Losses
from monet.training.state import TrainingState
from monet.training.step import discriminator_tasks, fakes_by_domain, generator_tasks
from monet.training.workers import choose_workers, shared_steps
from tests.conftest import TINY, FakeClock
from tests.training.comparison import differences
from tests.training.test_memory import limit
from tests.training.test_step import largest_difference, steps, trainer
from tests.training.test_trainer import WAVELETS, Bench, after

CPU = torch.device("cpu")
STEPS = 4


@pytest.fixture
def two_threads() -> Iterator[None]:
    """PyTorch may use two threads, as on a machine with two processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def execution_of(*overrides: str, precision: Precision = "fp32") -> Execution:
    config = resolve({}, [*TINY, *overrides])
    return Execution(config, TrainingState.create(config, CPU, precision), CPU, precision)


def backward(execution: Execution, a: Tensor, b: Tensor) -> list[Losses]:
    """The losses of a step; its gradients stay with the parameters."""
    translated = execution.forward_backward(generator_tasks(execution, a, b), execution.precision)
    judged = discriminator_tasks(execution, a, b, fakes_by_domain(execution, translated))
    return [*translated, *execution.forward_backward(judged, execution.precision)]


def gradients(workers: int, precision: Precision, *overrides: str) -> list[Tensor]:
    """What a step leaves, and its losses."""
    execution = execution_of(*overrides, precision=precision)
    generator = torch.Generator().manual_seed(3)
    size = execution.config.training.batch_size
    a, b = (torch.rand(size, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(2))
    with shared_steps(execution, workers):
        losses = backward(execution, a, b)
    networks = execution.state.networks
    found = [parameter.grad for parameter in networks.generators() + networks.discriminators()]
    values = [value for each in losses for value in (*each.terms.values(), *each.fakes)]
    return [*values, *(gradient for gradient in found if gradient is not None)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("workers", "accumulation", "overrides"),
    [
        (2, 1, ()),
        (6, 3, ("--training.batch_size", "3")),
        (2, 1, ("--model.generator", "unet", "--training.lambda_identity", "0")),
        (2, 1, ("--training.activation_checkpointing", "true")),
        (2, 2, ("--training.batch_size", "2", "--training.lambda_cycle", "0", *WAVELETS)),
    ],
    ids=["two directions", "in three parts", "unet", "recomputed", "one way, a pair each"],
)
def test_a_shared_step_leaves_the_bits_of_an_undivided_one(
    precision: Precision, workers: int, accumulation: int, overrides: tuple[str, ...]
) -> None:
    undivided = gradients(1, precision, *overrides, "--training.accumulation", str(accumulation))
    shared = gradients(workers, precision, *overrides)
    assert len(shared) == len(undivided) > 8
    assert all(torch.equal(one, other) for one, other in zip(shared, undivided, strict=True))


def test_both_directions_are_at_work_at_the_same_time() -> None:
    execution = execution_of("--training.batch_size", "1")
    meeting = threading.Barrier(2, timeout=20)

    def wait_for_the_other(*_: object) -> None:
        meeting.wait()

    execution.state.networks.discriminator_a.register_forward_hook(wait_for_the_other)
    execution.state.networks.discriminator_b.register_forward_hook(wait_for_the_other)
    images = torch.zeros(1, 3, 32, 32)
    with shared_steps(execution, 2):
        backward(execution, images, images)


@pytest.mark.parametrize("horizon", [Horizon(pairs=30), Horizon(seconds=24.0)], ids=["pairs", "clock"])
def test_a_run_in_pieces_equals_a_run_in_one_piece_at_equal_numbers_of_workers(
    tiny_data: Path, tmp_path: Path, horizon: Horizon
) -> None:
    def run(folder: Path, stops: list[int]) -> dict[str, Any]:
        bench = Bench(tiny_data, folder, "--training.ema", "0.9", "--training.batch_size", "2")
        for stop in [*stops, 10**6]:
            engine = bench.start(horizon, stop_requested=after(stop))
            with shared_steps(engine.execution, 2):
                engine.run()
        return checkpoint.load(folder / checkpoint.LAST)

    assert differences(run(tmp_path / "whole", []), run(tmp_path / "pieces", [1, 3, 2])) == []


def test_a_worker_that_runs_out_of_memory_splits_the_batch(tmp_path: Path) -> None:
    settings = {"batch_size": 4}
    free = steps(trainer(tmp_path, settings), STEPS)
    engine = trainer(tmp_path, settings)
    sizes = limit(engine, "generator_ba", 4)  # a joined pass is of eight
    with shared_steps(engine.execution, 2):
        assert largest_difference(steps(engine, STEPS), free) <= 1e-9
        assert engine.execution.parts == 2
    assert [size for size in sizes if size > 4] == [8]


def test_what_a_worker_raises_ends_the_step_when_the_other_one_is_done(tmp_path: Path) -> None:
    engine = trainer(tmp_path, {"batch_size": 1})
    done: list[str] = []
    failed = threading.Event()

    def fail(*_: object) -> None:
        failed.set()
        raise RuntimeError("expected a 3-dimensional tensor")

    def finish(*_: object) -> None:
        failed.wait(20)
        done.append("b")

    engine.state.networks.discriminator_a.register_forward_pre_hook(fail)
    engine.state.networks.discriminator_b.register_forward_hook(finish)
    with (
        shared_steps(engine.execution, 2),
        pytest.raises(RuntimeError, match="3-dimensional"),
    ):
        engine.take_step(0.0)
    assert done == ["b"]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("undivided", "shared", "expected"), [(1.0, 0.8, 2), (1.0, 1.19, 2), (1.0, 1.25, 1), (0.0, 0.0, 2)]
)
def test_a_probe_decides_and_what_beside_other_work_is_far_slower_must_be_clearly_faster_alone(
    monkeypatch: pytest.MonkeyPatch, undivided: float, shared: float, expected: int
) -> None:
    clock = FakeClock()
    execution = execution_of()

    def trial(execution: Execution) -> None:
        clock.advance(shared if execution.threads else undivided)

    monkeypatch.setattr(workers_module, "trial_step", trial)
    assert choose_workers(execution, clock) == expected
    assert execution.threads is None
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("batch_size", ["1", "2"])
@pytest.mark.parametrize(
    "error", [RuntimeError("DefaultCPUAllocator: not enough memory"), MemoryError("cannot allocate")]
)
def test_a_step_that_has_room_only_undivided_is_not_shared(
    error: Exception, batch_size: str, caplog: pytest.LogCaptureFixture
) -> None:
    execution = execution_of("--training.batch_size", batch_size)

    def fail(*_: object) -> None:
        if execution.threads:
            raise error

    execution.state.networks.generator_ba.register_forward_pre_hook(fail)
    with caplog.at_level("WARNING", "monet"):
        assert choose_workers(execution, FakeClock()) == 1
    assert "a step is not shared by threads: out of memory" in caplog.text
    assert execution.threads is None
    assert execution.parts == 1


@pytest.mark.usefixtures("two_threads")
def test_while_steps_are_shared_the_optimizers_have_no_more_threads_than_a_worker() -> None:
    torch.set_num_threads(6)
    execution = execution_of()
    with shared_steps(execution, 2):
        assert execution.threads
        assert execution.threads.submit(torch.get_num_threads).result() == 3
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == 6


@pytest.mark.usefixtures("two_threads")
def test_a_probe_leaves_nothing_behind() -> None:
    execution = execution_of()
    before = {name: value.clone() for name, value in execution.state.networks.generator_ab.state_dict().items()}
    assert choose_workers(execution, FakeClock()) == 2
    assert all(torch.equal(value, before[n]) for n, value in execution.state.networks.generator_ab.state_dict().items())
    assert all(
        p.grad is None for p in execution.state.networks.generators() + execution.state.networks.discriminators()
    )


@pytest.mark.usefixtures("two_threads")
def test_a_slow_step_is_timed_once_each_way(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    execution = execution_of()
    trials: list[bool] = []

    def trial(execution: Execution) -> None:
        trials.append(execution.threads is not None)
        clock.advance(4.0)

    monkeypatch.setattr(workers_module, "trial_step", trial)
    assert choose_workers(execution, clock) == 2
    assert trials == [False, True]


@pytest.mark.usefixtures("two_threads")
def test_a_run_keeps_its_number_of_workers_unless_another_is_asked_for() -> None:
    execution = execution_of()
    assert choose_workers(execution, FakeClock(), stored=1) == 1
    execution = execution_of("--training.workers", "4")
    assert choose_workers(execution, FakeClock(), stored=1) == 4
    execution = execution_of("--training.workers", "1000")
    assert choose_workers(execution, FakeClock()) == 2 * execution.config.training.batch_size


@pytest.mark.usefixtures("two_threads")
def test_steps_with_batch_norm_and_those_of_an_accelerator_are_not_shared() -> None:
    execution = execution_of("--model.norm", "batch", "--training.workers", "2")
    assert choose_workers(execution, FakeClock()) == 1
    execution = execution_of("--training.workers", "2")
    execution.device = torch.device("cuda")
    assert choose_workers(execution, FakeClock()) == 1


def test_one_processor_shares_nothing() -> None:
    execution = execution_of()
    assert torch.get_num_threads() == 1
    assert choose_workers(execution, FakeClock()) == 1


@pytest.mark.parametrize("workers", ["0", "-1", "1025", "many"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(workers: str) -> None:
    with pytest.raises(MonetError, match="workers"):
        resolve({}, ["--training.workers", workers])
