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
from tests.training.test_step import Batches, Taken, largest_difference, steps, trainer

STEPS = 6
SETTINGS: dict[str, dict[str, Any]] = {
    "pool off": {"pool_size": 0},
    "pool on": {"pool_size": 3, "ema": 0.9},
    "in parts": {"pool_size": 3, "accumulation": 2},
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

    def __init__(self) -> None:
        self.read: list[range] = []

    def batch(self, pairs: range) -> tuple[torch.Tensor, torch.Tensor]:
        self.read.append(pairs)
        return super().batch(pairs)


def train(group: Group, folder: Path, batch: int) -> dict[str, Any]:
    """Trains with each of the settings; keeps losses, gradients, the state, and the pairs that were read."""
    found: dict[str, Any] = {}
    for name, settings in SETTINGS.items():
        engine = trainer(folder, {"batch_size": batch, **settings}, group)
        source = Recorded()
        engine._source = source  # type: ignore[assignment]
        taken = steps(engine, STEPS)
        found[name] = (taken.losses, taken.gradients, engine.state.state_dict(), source.read)
    norm = trainer(folder, {"batch_size": batch}, group, norm="batch")
    steps(norm, 2)
    found["batch norm"] = norm.state.networks.generator_ab.state_dict()
    return found


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
    from tests.training.test_trainer import differences, flat

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


def test_running_statistics_are_the_mean_of_those_of_all_processes(both) -> None:
    first, second = (two["batch norm"] for two in both[1])
    means = [name for name in first if name.endswith("running_mean")]
    assert means
    for name in means:
        assert torch.equal(first[name], second[name])
        assert first[name].abs().max() > 0


def converse(group: ProcessGroup) -> dict[str, Any]:
    """Uses all that processes can tell each other."""
    group.contribute(lambda: 10.0 + group.rank)
    found: dict[str, Any] = {"measured": group.lead(lambda: [group.everywhere(), group.everywhere()])}
    found["value"] = group.lead(lambda: {"rank": group.rank, "tensor": torch.arange(3)})
    found["any"] = [group.any(False), group.any(group.rank == 1), group.any(True)]
    found["share"] = group.share(range(10, 16))
    found["gathered"] = group.gather(torch.full((2, 3), float(group.rank)))
    values = [torch.full((2,), float(group.rank)), torch.full((1, 2), 4.0 * group.rank).t()]
    wait = group.average(values)
    wait()
    found["averaged"] = values
    found["collected"] = group.collect({"rank": group.rank})

    def wrong() -> None:
        raise InputError("no such folder")

    try:
        group.lead(wrong)
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
    group.contribute(lambda: 3.0)
    assert group.lead(group.everywhere) == [3.0]
    assert group.share(range(4)) == range(4)
    assert group.collect("x") == ["x"]
    tensor = torch.ones(2)
    group.average([tensor])()
    assert torch.equal(group.gather(tensor), torch.ones(2))
    assert group.any(True)
    assert not group.any(False)
