"""Two processes that train together: each on a GPU of its own by nccl, or both on one device by gloo."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from monet.config import Config
from monet.distributed import ProcessGroup
from tests.benchmarks.measure import in_turns
from tests.gpu.engine import BOTH_WAYS, Engine, config_of, distance, engine
from tests.gpu.part import START_METHOD, Found, Place, require
from tests.gpu.precision import BOUNDS

PROCESSES, STEPS = 2, 3
PATIENCE = 60.0
"""Seconds after which a process that says nothing is lost."""


def two_processes(place: Place) -> Found:
    """Takes steps with both, in float64 against one process with the whole batch, then in the device's own precision
    against the clock."""
    nccl = place.cuda and torch.cuda.device_count() >= PROCESSES
    with tempfile.TemporaryDirectory() as folder:
        arguments = (place, nccl, folder, os.getpgrp())
        start_processes(_process, arguments, PROCESSES, start_method=START_METHOD)  # type: ignore[no-untyped-call]
        found = [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES)]
    whole = _taken(_engine(place, 4))
    backend = "nccl, two GPUs" if nccl else "gloo, one device"
    for rank, mine in enumerate(found):
        error = worst(mine, whole)
        require(error <= BOUNDS["float64"].gradients, f"{backend}: process {rank}'s gradients are off by {error:.1e}")
    same = all(map(torch.equal, found[0]["weights"], found[1]["weights"]))
    require(same, f"{backend}: after {STEPS} steps the processes' weights differ")
    speed = found[0]["speed"].item()
    return Found(
        f"{backend}: gradients within {max(worst(mine, whole) for mine in found):.0e} of one process's, weights alike, "
        f"{speed:.3g} pairs/s of kaggle together",
        {"nccl": nccl, "pairs/s": speed},
    )


def worst(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest relative error of a network's gradient."""
    return max(distance(one["gradients"][name], gradient) for name, gradient in other["gradients"].items())


def _process(rank: int, place: Place, nccl: bool, folder: str, process_group: int) -> None:
    os.setpgid(0, process_group)  # what stops the part stops this, too
    torch.set_num_threads(1)
    meeting = f"file://{Path(folder) / 'meeting'}"
    group = ProcessGroup(rank, rank, PROCESSES, PROCESSES, init_method=meeting, timeout=PATIENCE)
    if nccl:
        place = dataclasses.replace(place, device=f"cuda:{rank}")
        group.use(place.torch_device)
    found = _taken(_engine(place, 4 // PROCESSES, group))
    fast = engine(_config(place, ["--training.batch_size", "2"]), place.torch_device, group=group)
    seconds = in_turns({"step": fast.step}, place.pick(10, 1), warm_up=place.pick(3, 1), device=place.torch_device)
    found["speed"] = torch.tensor(2 * PROCESSES / seconds["step"])
    torch.save(found, Path(folder) / f"{rank}.pt")
    group.barrier()  # neither leaves before the other has saved
    os._exit(0)  # as the commands do


def _engine(place: Place, size: int, group: ProcessGroup | None = None) -> Engine:
    side = str(place.pick(64, 32))
    words = ["--data.crop_size", side, "--data.load_size", side, "--training.batch_size", str(size)]
    return engine(_config(place, words), place.torch_device, "fp32", double=True, group=group)


def _config(place: Place, words: list[str]) -> Config:
    """The recipe; on one GPU without image pools, whose images gloo does not promise to gather there."""
    alone = place.cuda and torch.cuda.device_count() < PROCESSES
    return config_of(place, BOTH_WAYS, [*words, *(["--training.pool_size", "0"] if alone else [])])


def _taken(one: Engine) -> dict[str, Any]:
    """What a few steps give: the gradients of the first, and the weights after the last."""
    one.step()
    gradients = {name: [x.cpu() for x in tensors] for name, tensors in one.gradients().items()}
    for _ in range(STEPS - 1):
        one.step()
    weights: list[Tensor] = [x.cpu() for tensors in one.weights().values() for x in tensors]
    return {"gradients": gradients, "weights": weights}
