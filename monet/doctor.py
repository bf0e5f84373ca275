"""The examination of this machine: everything is tried out."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from monet.clock import Clock, Deadline, format_duration
from monet.data.layout import COMPETITION, KAGGLE_MOUNTS, find_auto, find_layout
from monet.device import choose_device, choose_precision, device_problem
from monet.errors import MonetError
from monet.machine import available_memory, available_processors, compiler, processor_name
from monet.scoring.weights import cached_weights

_DISK_NEEDED = 8e9
"""Bytes that a run of the competition may write: the archive, checkpoints, samples."""
_MEMORY_NEEDED = 4e9
"""Bytes for both domains of the competition, the networks and the libraries."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    """A word or two."""
    status: Literal["ok", "note", "problem"]
    """`note` is worth knowing; `problem` keeps the main job from working."""
    message: str
    """Finding, and advice."""


def examine(
    folder: Path, hub_folder: Path, credentials: dict[str, bool], clock: Clock, deadline: Deadline | None = None
) -> list[Finding]:
    """Looks at the time left, device, precision, compiler, memory, disk, data, the scorer's weights and credentials.

    Args:
        folder: where runs would be written.
        hub_folder: torch's cache of weights.
        credentials: names of services, and whether there are credentials for them.
        clock: times the precisions.
        deadline: when everything must be over.
    """
    return [
        *([_time_left(deadline)] if deadline else []),
        *_device(clock),
        _compiler(),
        _enough("memory", available_memory(), _MEMORY_NEEDED, "free"),
        _enough("disk", shutil.disk_usage(folder).free, _DISK_NEEDED, f"free in {folder.resolve()}"),
        _data(),
        _weights(hub_folder),
        *(_credentials(service, found) for service, found in credentials.items()),
    ]


def _time_left(deadline: Deadline) -> Finding:
    left = deadline.remaining()
    if left <= 0:
        return Finding("time", "problem", f"the {format_duration(deadline.budget)} are over: give --budget more")
    return Finding("time", "ok", f"{format_duration(left)} left")


def _device(clock: Clock) -> list[Finding]:
    """Tries a convolution on every accelerator that says it is available."""
    findings, working = [], 0
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        device = torch.device("cuda", index)
        major, minor = torch.cuda.get_device_capability(device)
        name = f"{torch.cuda.get_device_name(device)} (sm_{major}{minor})"
        if problem := device_problem(device):
            advice = f"PyTorch {torch.__version__} has kernels for {', '.join(torch.cuda.get_arch_list())}"
            findings.append(
                Finding("device", "problem", f"{name} fails: {problem}; {advice}: on Kaggle, choose GPU T4 x2")
            )
        else:
            findings.append(Finding("device", "ok", f"{name} works"))
            working += 1
    if working > 1:
        together = f"torchrun --nproc-per-node {working} -m -- pipelines.submit uses all of them"
        findings.append(Finding("device", "note", together))
    chosen = choose_device("auto")
    if chosen.type == "cpu":
        findings.append(
            Finding("device", "ok", f"{processor_name()}, {available_processors()} processors; no accelerator")
        )
    elif chosen.type == "mps":
        findings.append(Finding("device", "ok", "Apple GPU (mps) works"))
    precision = choose_precision("auto", chosen, clock)
    return [*findings, Finding("precision", "ok", f"{precision} is fastest on {chosen.type}")]


def _compiler() -> Finding:
    path = compiler()
    if path is None:
        return Finding("compiler", "note", "no C++ compiler: torch.compile is left out, and nothing needs it")
    return Finding("compiler", "ok", path)


def _enough(topic: str, found: float, needed: float, where: str) -> Finding:
    message = f"{found / 1e9:.1f} GB {where}"
    if found >= needed:
        return Finding(topic, "ok", message)
    return Finding(topic, "problem", f"{message}: the competition's data wants {needed / 1e9:.0f} GB")


def _data() -> Finding:
    place = find_auto([*KAGGLE_MOUNTS, Path("data") / COMPETITION])
    if place is None:
        return Finding("data", "note", f"no {COMPETITION} here: --data auto would download it, --data demo needs none")
    try:
        layout = find_layout(place)
    except MonetError as error:
        return Finding("data", "problem", str(error))
    return Finding("data", "ok", f"{place}: {len(layout.photos):,} photos, {len(layout.paintings):,} paintings")


def _weights(hub_folder: Path) -> Finding:
    weights = cached_weights(hub_folder)
    if weights is None:
        return Finding("weights", "note", "no Inception weights here: scoring would download them (96 MB)")
    return Finding("weights", "ok", weights.source)


def _credentials(service: str, found: bool) -> Finding:
    if found:
        return Finding("credentials", "ok", f"{service}: found")
    return Finding("credentials", "note", f"{service}: none")
