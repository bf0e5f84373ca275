"""Say what this machine can do: time left, a real operation on the device, precision, memory, disk, data, weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pipelines
from pipelines._command import command_parser, run_command
from pipelines._credentials import credentials, has_kaggle
from pipelines._processes import leave

if TYPE_CHECKING:
    from monet.clock import Deadline

_MARKS = {"ok": "ok  ", "note": "--  ", "problem": "!!  "}


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code: 1 where something keeps the main job from working."""
    import torch

    from monet.doctor import examine

    parser = command_parser("doctor", __doc__ or "")
    parser.add_argument("--budget", metavar="D", help="time that is left for everything, as for submit: 4h45m, 90s")
    options = parser.parse_args(arguments)
    deadline = _deadline(options.budget) if options.budget else None
    hub_folder = Path(torch.hub.get_dir())
    findings = examine(Path(), hub_folder, {"Kaggle": has_kaggle(), **_trackers()}, time.monotonic, deadline)
    for finding in findings:
        print(f"{_MARKS[finding.status]}{finding.topic:<12} {finding.message}")
    problems = [finding.topic for finding in findings if finding.status == "problem"]
    ready = "ready: python -m pipelines.submit --data demo --budget 8m"
    print(f"not ready: {', '.join(problems)}" if problems else ready)
    return 1 if problems else 0


def _deadline(budget: str) -> Deadline:
    from monet.clock import Deadline, parse_duration
    from monet.errors import InputError

    try:
        return Deadline(time.monotonic, pipelines.STARTED, parse_duration(budget))
    except ValueError as error:
        raise InputError(f"--budget: {error}") from None


def _trackers() -> dict[str, bool]:
    names = {"clearml": "ClearML", "wandb": "W&B"}
    return {names[name]: found for name, found in credentials().items()}


if __name__ == "__main__":
    leave(run_command(main))
