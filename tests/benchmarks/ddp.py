"""Whether DistributedDataParallel would do for two processes: python -m tests.benchmarks.ddp

The same steps in two processes on this machine, with `monet.distributed` and with DistributedDataParallel, `no_sync`:
whether both give the same weights, how long a step takes, and what happens where memory runs out on one process alone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from monet import recipes
from monet.device import Precision, autocast
from monet.distributed import Group, ProcessGroup
from monet.errors import MonetError
from monet.settings import resolve
from monet.training.execution import Execution, Task
from monet.training.losses import Losses
from monet.training.memory import slices
from monet.training.state import TrainingState
from monet.training.step import train_step
from tests.benchmarks.measure import benchmark_parser, print_table, write_json

_PATIENCE = 30.0
"""Seconds after which a process that waits for another gives up."""


class _Player(nn.Module):
    """Networks whose losses have one backward pass: what DistributedDataParallel wraps."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, losses: Callable[[], list[Losses]]) -> tuple[Tensor, list[Losses]]:
        found = losses()
        return torch.stack([each.total for each in found]).sum(), found


class DdpExecution(Execution):
    """Computes steps through DistributedDataParallel, which averages the gradients while `backward` runs."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        networks = self.state.networks
        players = ([networks.generator_ab, networks.generator_ba], [networks.discriminator_a, networks.discriminator_b])
        self._players = [DistributedDataParallel(_Player(player)) for player in players]
        self._calls = 0

    def forward_backward(self, tasks: Sequence[Task], precision: Precision) -> list[Losses]:
        """As `Execution.forward_backward`, without the threads, which DistributedDataParallel has no room for."""
        player, other = (self._players[(self._calls + turn) % 2] for turn in range(2))
        self._calls += 1
        other.requires_grad_(False)
        try:
            return self._in_parts(player, tasks, precision)
        except torch.OutOfMemoryError as error:
            self.split(len(tasks[0].images[0]), error)
        finally:
            other.requires_grad_(True)
        player.zero_grad()
        other.requires_grad_(False)
        try:
            return self._in_parts(player, tasks, precision)
        finally:
            other.requires_grad_(True)

    def _in_parts(self, player: DistributedDataParallel, tasks: Sequence[Task], precision: Precision) -> list[Losses]:
        """Adds up the gradients of all parts, and averages them with those of the last one."""
        sums: list[Losses] = []
        parts = list(slices(len(tasks[0].images[0]), self.parts))
        for number, (part, share) in enumerate(parts, 1):
            with player.no_sync() if number < len(parts) else contextlib.nullcontext():
                sums = _added(sums, self._part(player, tasks, precision, part, share), share)
        return sums

    def _part(
        self, player: DistributedDataParallel, tasks: Sequence[Task], precision: Precision, part: slice, share: float
    ) -> list[Losses]:
        networks = self.networks_for(precision)
        with autocast(self.device, precision):
            total, found = player(
                lambda: [task.losses(networks, task.images[0][part], task.images[1][part]) for task in tasks]
            )
        (share * total).backward()
        return found


def _added(sums: list[Losses], found: list[Losses], share: float) -> list[Losses]:
    """Adds the losses of a part, weighted with its share, and joins its fakes to those of the parts before."""
    parts = [Losses({name: share * term.detach() for name, term in each.terms.items()}, each.fakes) for each in found]
    if not sums:
        return parts
    return [
        Losses(
            {name: before.terms[name] + term for name, term in now.terms.items()},
            tuple(torch.cat(pair) for pair in zip(before.fakes, now.fakes, strict=True)),
        )
        for before, now in zip(sums, parts, strict=True)
    ]


class _AveragedAlready(Group):
    """A group that leaves gradients as they are: DistributedDataParallel has averaged them."""

    def __init__(self, group: ProcessGroup) -> None:
        self._group = group
        self.rank, self.world_size = group.rank, group.world_size
        self.shard, self.all_gather = group.shard, group.all_gather  # type: ignore[method-assign]

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> Callable[[], None]:
        return self._group.all_reduce_mean(tensors) if len(tensors) == 1 else super().all_reduce_mean(tensors)


def _execution(kind: str, settings: list[str], group: ProcessGroup, dtype: torch.dtype, recipe: str) -> Execution:
    config = resolve(recipes.read(recipe), ["--training.device", "cpu", *settings])
    torch.manual_seed(0)
    state = TrainingState.create(config, torch.device("cpu"), "fp32")
    for network in state.networks.named().values():
        network.to(dtype)
    if kind == "ours":
        return Execution(config, state, torch.device("cpu"), "fp32", group)
    return DdpExecution(config, state, torch.device("cpu"), "fp32", _AveragedAlready(group))


def _step(execution: Execution, number: int, dtype: torch.dtype) -> None:
    """Takes a step on random images, this process's share of the batch."""
    training, data = execution.config.training, execution.config.data
    size, group = training.batch_size, execution.group
    pairs = range(number * size * group.world_size, (number + 1) * size * group.world_size)
    generator = torch.Generator().manual_seed(1000 * number + group.rank)
    shape = (size, 3, *data.crop)
    real_a, real_b = (torch.rand(shape, generator=generator).to(dtype) * 2 - 1 for _ in range(2))
    train_step(execution, real_a, real_b, pairs, "fp32")
    execution.state.counters.pairs = pairs.stop


def _weights(execution: Execution) -> Tensor:
    networks = execution.state.networks.named().values()
    return torch.cat([parameter.detach().flatten() for network in networks for parameter in network.parameters()])


def _compare(group: ProcessGroup, settings: list[str], dtype: torch.dtype, steps: int, recipe: str) -> dict[str, Any]:
    """Takes the same steps in both ways."""
    both = {kind: _execution(kind, settings, group, dtype, recipe) for kind in ("ours", "ddp")}
    times: dict[str, list[float]] = {kind: [] for kind in both}
    for number in range(steps):
        for kind, execution in both.items():
            group.barrier()
            begun = time.perf_counter()
            _step(execution, number, dtype)
            times[kind].append(time.perf_counter() - begun)
    first, second = (_weights(execution) for execution in both.values())
    return {
        "difference": float((first - second).abs().max()),
        "equal": bool(torch.equal(first, second)),
        **{kind: statistics.median(found[1:]) for kind, found in times.items()},
    }


def _short_of_memory(group: ProcessGroup, kind: str, settings: list[str], recipe: str) -> str:
    """Takes a step in which memory runs out once, on the last process alone."""
    execution = _execution(kind, settings, group, torch.float32, recipe)
    calls: list[int] = []

    def fails_once(gradient: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 1 and group.rank == group.world_size - 1:
            raise torch.OutOfMemoryError("out of memory")
        return gradient

    first = next(execution.state.networks.generator_ab.parameters())  # the last one that backward reaches
    first.register_hook(fails_once)  # type: ignore[no-untyped-call]
    try:
        for number in range(2):
            _step(execution, number, torch.float32)
    except (RuntimeError, MonetError) as error:
        return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no reason'])[0][:160]}"
    return f"both steps are taken, in {execution.parts} parts; weights {float(_weights(execution).double().sum()):.9f}"


def _process(rank: int, folder: str, options: argparse.Namespace, what: str) -> None:
    torch.set_num_threads(1)
    place = f"file://{folder}/{what}"
    group = ProcessGroup(rank, rank, 2, 2, init_method=place, timeout=_PATIENCE)
    words = ["--training.batch_size", "2", *options.settings.split()]
    found: Any
    if what.startswith("memory"):
        found = _short_of_memory(group, what.split("-")[1], words, options.recipe)
    elif what == "exact":
        found = _compare(group, words, torch.float64, 3, options.recipe)
    else:
        extra = ["--training.accumulation", "2"] if what == "parts" else []
        found = _compare(group, [*words, *extra], torch.float32, options.steps, options.recipe)
    torch.save(found, f"{folder}/{what}-{rank}.pt")
    os._exit(0)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Runs each comparison in two processes of its own."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for what in ("exact", "whole", "parts", "memory-ours", "memory-ddp"):
            spawn(_process, (folder, options, what), nprocs=2)  # type: ignore[no-untyped-call]
            results[what] = [torch.load(Path(folder) / f"{what}-{rank}.pt") for rank in range(2)]
    return results


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--recipe", default="quick-cpu", help="whose networks are trained")
    parser.add_argument("--settings", default="", help="further settings, such as '--model.width 8'")
    parser.add_argument("--steps", type=int, default=12, help="steps that are timed, and one before them")
    options = parser.parse_args()
    results = measure(options)
    print_table(
        ["gradients", "largest difference", "equal to the bit", "s/step, monet.distributed", "s/step, DDP", "ratio"],
        [
            (
                name,
                f"{found['difference']:.1e}",
                "yes" if found["equal"] else "no",
                f"{found['ours']:.3f}",
                f"{found['ddp']:.3f}",
                f"{found['ddp'] / found['ours']:.3f}",
            )
            for name, found in ((name, results[name][0]) for name in ("exact", "whole", "parts"))
        ],
    )
    for kind in ("ours", "ddp"):
        print(f"memory runs out on the second process, {kind}: {results[f'memory-{kind}']}")
    write_json(options.json, results)


if __name__ == "__main__":
    main()
