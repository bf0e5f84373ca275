"""Facts that a resumed run, and processes that train together, must have in common."""

from __future__ import annotations

from pathlib import Path

import torch

from monet.data.layout import identity_of
from monet.device import Precision, choose_precision, own_device, suitable_precision
from monet.errors import InputError
from monet.run.resume import Job


def require_same_data(job: Job, then: dict[str, int], now: dict[str, int]) -> None:
    """A run continues with as many photos and paintings as it saw before.

    Raises:
        InputError: there are more of them now, or fewer.
    """
    if then != now:
        raise InputError(
            f"the run in {job.folder.path} saw {_count(then)}; here are {_count(now)}: continue with the same data, or "
            "start another run"
        )


def shared_device(job: Job) -> torch.device:
    """The device of this process, of the same kind as that of all others, and made known to them.

    Raises:
        InputError: the first process works on another kind.
    """
    device = own_device(job.config.training.device, job.group)
    if device.type != (first := job.group.broadcast_object(lambda: device.type)):
        raise InputError(f"process {job.group.rank} works on {device.type}, the first one on {first}: name one for all")
    job.group.use(device)
    return device


def shared_precision(job: Job, device: torch.device) -> Precision:
    """The precision of the convolutions, the same in all processes. A run continues in the one that it has, unless
    another is asked for, or the device is not made for it."""
    precision: Precision = job.group.broadcast_object(lambda: _precision(job, device))
    return precision


def _precision(job: Job, device: torch.device) -> Precision:
    setting, stored = job.config.training.precision, job.checkpoint
    if stored is None:
        return choose_precision(setting, device, job.clock)
    changed = stored["config"]["training"]["precision"] != setting
    if changed or (setting != "auto" and "training.precision" in job.asked):
        return choose_precision(setting, device, job.clock)
    before: Precision = stored["precision"]
    if setting == "auto" and stored["device"] not in (device.type, None):
        return choose_precision("auto", device, job.clock)
    return suitable_precision(before, device, job.clock)


def stored_workers(job: Job) -> int | None:
    """How many threads shared a step on a CPU before, unless another setting is asked for now."""
    stored = job.checkpoint
    if stored is None or stored["device"] not in (None, "cpu"):
        return None
    same = stored["config"]["training"].get("workers") == job.config.training.workers
    return stored["workers"] if same else None


def require_same_images(job: Job, *sets: tuple[Path, ...]) -> None:
    """Processes tell each other the numbers of pairs and of photos: these mean the same only with the same images.

    Raises:
        InputError: this process has others than the first one.
    """
    if job.group.world_size == 1:
        return
    here = [identity_of(paths) for paths in sets]
    if here != job.group.broadcast_object(lambda: here):
        raise InputError(f"process {job.group.rank} has other images than the first one: give all the same data")


def _count(data: dict[str, int]) -> str:
    return f"{data['photos']:,} photos and {data['paintings']:,} paintings"
