"""Facts that a resumed run, and processes that train together, must have in common."""

from __future__ import annotations

from pathlib import Path

import torch

from monet.clock import Clock
from monet.context import Context
from monet.data.layout import identity_of
from monet.device import Precision, choose_precision, own_device, suitable_precision
from monet.distributed import Group
from monet.errors import InputError
from monet.run.run import Run
from monet.run_folder.folder import RunFolder


def require_same_data(folder: RunFolder, then: dict[str, int], now: dict[str, int]) -> None:
    """Checks that a resumed run has as many photos and paintings as before.

    Raises:
        InputError: there are more of them now, or fewer.
    """
    if then != now:
        raise InputError(
            f"the run in {folder.path} saw {_count(then)}; here are {_count(now)}: continue with the same data, or "
            "start another run"
        )


def shared_device(setting: str, group: Group) -> torch.device:
    """Returns the device of this process, and has the group use it.

    Args:
        setting: `training.device`.
        group: the processes; all devices are of the same kind.

    Raises:
        InputError: the first process works on another kind.
    """
    device = own_device(setting, group)
    if device.type != (first := group.broadcast_object(lambda: device.type)):
        raise InputError(f"process {group.rank} works on {device.type}, the first one on {first}: name one for all")
    group.use(device)
    return device


def shared_precision(run: Run, device: torch.device, context: Context) -> Precision:
    """Returns the precision of the convolutions, the same in all processes. A run resumes in the one that it has,
    unless another is asked for, or the device is not made for it."""
    precision: Precision = context.group.broadcast_object(lambda: _precision(run, device, context.clock))
    return precision


def _precision(run: Run, device: torch.device, clock: Clock) -> Precision:
    setting, stored = run.config.training.precision, run.resumed_from
    if stored is None:
        return choose_precision(setting, device, clock)
    changed = stored["config"]["training"]["precision"] != setting
    if changed or (setting != "auto" and "training.precision" in run.given.anywhere):
        return choose_precision(setting, device, clock)
    before: Precision = stored["precision"]
    if setting == "auto" and stored["device"] not in (device.type, None):
        return choose_precision("auto", device, clock)
    return suitable_precision(before, device, clock)


def stored_workers(run: Run) -> int | None:
    """Returns how many threads shared a step on a CPU before, unless another setting is asked for now."""
    stored = run.resumed_from
    if stored is None or stored["device"] not in (None, "cpu"):
        return None
    same = stored["config"]["training"].get("workers") == run.config.training.workers
    return stored["workers"] if same else None


def require_same_images(group: Group, *sets: tuple[Path, ...]) -> None:
    """Checks that all processes have the same images, because they tell each other only the numbers of these.

    Raises:
        InputError: this process has others than the first one.
    """
    if group.world_size == 1:
        return
    here = [identity_of(paths) for paths in sets]
    if here != group.broadcast_object(lambda: here):
        raise InputError(f"process {group.rank} has other images than the first one: give all the same data")


def _count(data: dict[str, int]) -> str:
    return f"{data['photos']:,} photos and {data['paintings']:,} paintings"
