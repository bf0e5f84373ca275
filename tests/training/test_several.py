"""Two real processes against one, in float64."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing.spawn import spawn

from monet.distributed import Group, ProcessGroup
from monet.errors import FailedElsewhere, InputError, MonetError
from monet.run.agreement import require_same_images
from tests.training.comparison import differences, flat
from tests.training.test_memory import limit
from tests.training.test_step import Batches, Taken, largest_difference, steps, trainer

STEPS = 6
SETTINGS: dict[str, dict[str, Any]] = {
    "pool off": {"pool_size": 0},
    "pool on": {"pool_size": 3},
    "averaged": {"pool_size": 3, "ema": 0.9},
    "in parts": {"pool_size": 3, "accumulation": 2},
    "one way": {"pool_size": 3, "ema": 0.9, "lambda_cycle": 0.0},
}


def started(work: Any, folder: Path, *words: Any) -> list[Any]:
    """Calls `work(group, *words)` in two processes; returns what each returned."""
    spawn(_process, (work, folder, words), nprocs=2)  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def _process(rank: int, work: Any, folder: Path, words: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    group = ProcessGroup(rank, rank, 2, 2, init_method=f"file://{folder / 'meeting'}", timeout=60)
    torch.save(work(group, *words), folder / f"{rank}.pt")
    os._exit(0)  # as the commands do


class Recorded(Batches):
    """A source that remembers what was asked of it."""

    def __init__(self, spoiled: int | None = None) -> None:
        self.read: list[range] = []
        self.spoiled = spoiled

    def batch(self, pairs: range) -> tuple[torch.Tensor, torch.Tensor]:
        self.read.append(pairs)
        a, b = super().batch(pairs)
        return (a * torch.nan if self.spoiled in pairs else a), b


def train(group: Group, folder: Path, batch: int) -> dict[str, Any]:
    """Trains with each of the settings; keeps losses, gradients, the state, and the pairs that were read."""
    found: dict[str, Any] = {}
    for name, settings in SETTINGS.items():
        source = Recorded()
        engine = trainer(folder, {"batch_size": batch, **settings}, group, source=source)
        taken = steps(engine, STEPS)
        found[name] = (taken.losses, taken.gradients, engine.state.state_dict(), source.read)
    found["batch norm"] = statistics(folder, batch, 0, group)
    spoiled = trainer(folder, {"batch_size": batch, "pool_size": 3}, group, source=Recorded(spoiled=10))
    steps(spoiled, STEPS)
    found["spoiled"] = spoiled.state.state_dict()
    found["overflowed"] = overflowed(group, folder, batch)
    short = trainer(folder, {"batch_size": batch, "pool_size": 3}, group)
    limit(short, "generator_ab", 2 * 2 if group.rank == 0 else 2)  # the second process runs out of memory
    taken = steps(short, STEPS)
    found["short of memory"] = (taken.losses, taken.gradients, short.state.state_dict(), short.execution.parts)
    return found


def overflowed(group: Group, folder: Path, batch: int) -> dict[str, Any]:
    """Trains in fp16, where on the last process one gradient of a discriminator overflows in the third step."""
    engine = trainer(folder, {"batch_size": batch, "pool_size": 3}, group, precision="fp16")
    calls: list[int] = []

    def overflow(gradient: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return gradient * (torch.inf if len(calls) == 3 and group.rank == group.world_size - 1 else 1.0)

    engine.state.networks.discriminators()[0].register_hook(overflow)  # type: ignore[no-untyped-call]
    steps(engine, STEPS)
    return engine.state.state_dict()


def statistics(folder: Path, batch: int, first: int, group: Group | None = None) -> dict[str, torch.Tensor]:
    """The running statistics after one step from some pair on."""
    engine = trainer(folder, {"batch_size": batch}, group, norm="batch")
    engine.state.counters.pairs = first
    steps(engine, 1)
    values = engine.state.networks.generator_ab.state_dict()
    return {name: value for name, value in values.items() if "running" in name}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What one process at batch 4 found, and two at batch 2."""
    folder = tmp_path_factory.mktemp("several")
    return train(Group(), folder, 4), started(train, folder, folder, 2)


@pytest.mark.parametrize("name", SETTINGS)
def test_two_processes_give_the_losses_and_gradients_of_one_with_the_double_batch(both, name: str) -> None:
    (losses, gradients, _, _), others = both[0][name], [two[name] for two in both[1]]
    for other_losses, other_gradients, _, _ in others:
        assert largest_difference(Taken([], other_gradients), Taken([], gradients)) <= 1e-9
        for mine, theirs in zip(other_losses, losses, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)  # reported in fp32


@pytest.mark.parametrize("name", SETTINGS)
def test_all_processes_hold_the_state_of_one(both, name: str) -> None:
    states = [found[name][2] for found in (both[0], *both[1])]
    assert differences(states[1], states[2]) == []  # to the bit
    for key, value in flat(states[0]).items():
        other = flat(states[1])[key]
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(other, value, rtol=1e-6, atol=1e-9)
        else:
            assert other == value, key


def test_two_processes_see_the_pairs_of_one_in_the_same_order(both) -> None:
    one, (first, second) = both[0]["pool off"][3], (two["pool off"][3] for two in both[1])
    assert [[*a, *b] for a, b in zip(first, second, strict=True)] == [list(pairs) for pairs in one]
    assert one[2] == range(8, 12)


def test_running_statistics_are_the_mean_of_those_of_all_processes(both, tmp_path: Path) -> None:
    each = [statistics(tmp_path, 2, first) for first in (0, 2)]
    for name, value in both[1][0]["batch norm"].items():
        torch.testing.assert_close(value, (each[0][name] + each[1][name]) / 2, rtol=1e-9, atol=1e-12)
        assert torch.equal(value, both[1][1]["batch norm"][name])
    assert not torch.allclose(each[0]["layers.2.running_mean"], each[1]["layers.2.running_mean"])


def test_a_loss_that_is_not_finite_on_one_process_is_stepped_on_by_none(both) -> None:
    states = [found["spoiled"] for found in (both[0], *both[1])]
    assert differences(states[1], states[2]) == []
    assert states[0]["incidents"] == states[1]["incidents"] != []
    assert states[1]["counters"] == states[0]["counters"]
    for name, value in states[0]["networks"]["generator_ab"].items():
        torch.testing.assert_close(states[1]["networks"]["generator_ab"][name], value, rtol=1e-6, atol=1e-9)


def test_a_gradient_that_overflows_on_one_process_is_stepped_on_by_none(both) -> None:
    states = [found["overflowed"] for found in (both[0], *both[1])]
    assert differences(states[1], states[2]) == []
    for state in states:
        assert state["incidents"] == []
        assert state["scaler"]["scale"] == 2.0**15
        assert state["counters"] == states[0]["counters"]
        for optimizer in state["optimizers"].values():
            assert {int(moments["step"]) for moments in optimizer["state"].values()} == {STEPS - 1}


def test_a_process_that_runs_out_of_memory_does_not_trouble_the_others(both) -> None:
    (_, free, _, _), (first, second) = both[0]["pool on"], (two["short of memory"] for two in both[1])
    assert (first[3], second[3]) == (1, 2)
    assert largest_difference(Taken([], first[1]), Taken([], free)) <= 1e-9
    assert differences(first[2], second[2]) == []


def other_images(group: ProcessGroup) -> str:
    """Two processes that do not have the same photos."""
    try:
        require_same_images(group, (Path(__file__),), (Path(__file__),) * group.rank)
    except InputError as error:
        return str(error)
    return "the same"


def test_processes_with_other_images_are_refused(tmp_path: Path) -> None:
    assert started(other_images, tmp_path) == [
        "the same",
        "process 1 has other images than the first one: give all the same data",
    ]


def converse(group: ProcessGroup) -> dict[str, Any]:
    """Uses all that processes can tell each other."""
    group.register_probe(lambda: 10.0 + group.rank)
    found: dict[str, Any] = {"measured": group.broadcast_object(lambda: [group.gather_probe(), group.gather_probe()])}
    found["value"] = group.broadcast_object(lambda: {"rank": group.rank, "tensor": torch.arange(3)})
    found["any"] = [group.any_rank(False), group.any_rank(group.rank == 1), group.any_rank(True)]
    group.barrier()
    found["share"] = group.shard(range(10, 16))
    found["gathered"] = group.all_gather(torch.full((2, 3), float(group.rank)))
    values = [torch.full((2,), float(group.rank)), torch.full((1, 2), 4.0 * group.rank).t()]
    wait = group.all_reduce_mean(values)
    wait()
    found["averaged"] = values
    found["collected"] = group.gather_object({"rank": group.rank})

    def wrong() -> None:
        raise InputError("no such folder")

    try:
        group.broadcast_object(wrong)
    except MonetError as error:
        found["error"] = (type(error), str(error), error.exit_code)
    return found


def test_processes_agree_on_what_the_first_one_decides(tmp_path: Path) -> None:
    first, second = started(converse, tmp_path)
    for found in (first, second):
        assert found["measured"] == [[10.0, 11.0], [10.0, 11.0]]
        assert found["value"]["rank"] == 0
        assert found["value"]["tensor"].tolist() == [0, 1, 2]
        assert found["any"] == [False, True, True]
        assert found["gathered"].tolist() == [[0.0] * 3] * 2 + [[1.0] * 3] * 2
        assert [value.tolist() for value in found["averaged"]] == [[0.5, 0.5], [[2.0], [2.0]]]
    assert [first["share"], second["share"]] == [range(10, 13), range(13, 16)]
    assert first["collected"] == [{"rank": 0}, {"rank": 1}]
    assert second["collected"] == []
    assert first["error"] == (InputError, "no such folder", 2)
    assert second["error"] == (FailedElsewhere, "the first process of this run says why", 2)


def test_a_process_alone_is_a_group_of_its_own() -> None:
    group = Group()
    group.register_probe(lambda: 3.0)
    assert group.broadcast_object(group.gather_probe) == [3.0]
    assert group.shard(range(4)) == range(4)
    assert group.gather_object("x") == ["x"]
    tensor = torch.ones(2)
    group.all_reduce_mean([tensor])()
    assert torch.equal(group.all_gather(tensor), torch.ones(2))
    assert group.any_rank(True)
    assert not group.any_rank(False)
    group.barrier()
