"""A run's folder: its files, and the rules for starting and going on."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from monet import checkpoint
from monet.config import Config, to_dict
from monet.errors import InputError, MonetError
from monet.files import write_json, write_text, written_whole
from monet.training.events import Incident, StepEvent

logger = logging.getLogger(__name__)

_OWN = {
    *("config.yaml", "environment.json", "metrics.jsonl", "checkpoints", "samples"),
    *("curves.png", "scores.jsonl", "report.html", "images.zip", "tracking"),
}


class RunFolder:
    """The paths of a run, and what is written there as it goes.

    Args:
        path: the folder; made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / checkpoint.LAST
        self.samples = path / "samples"
        self.metrics = path / "metrics.jsonl"
        self.curves = path / "curves.png"
        self.archive = path / "images.zip"
        self.environment = path / "environment.json"
        self.scores = path / "scores.jsonl"
        self.report = path / "report.html"

    def open(self, resume: bool) -> dict[str, Any] | None:
        """Checks that a command may work here.

        Args:
            resume: go on from `last.pt`; a run that has none yet starts.

        Returns:
            The contents of `last.pt`, or None where the run starts.

        Raises:
            InputError: the folder is not empty and `resume` is not set, it is not a run, or `last.pt` is damaged.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is not a folder: give --run another name")
        found = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        if found and not resume:
            raise InputError(f"{self.path} is not empty: add --resume to go on there, or give --run another name")
        if found and not found & _OWN:
            raise InputError(f"{self.path} is not a run (it holds {sorted(found)[0]}): give --run another name")
        others = sorted(path.name for path in self.checkpoints.glob("epoch-*.pt"))
        if not self.last.exists():
            if others:
                raise InputError(
                    f"{self.last} is missing: copy {others[-1]} beside it to that name, or give --run another name"
                )
            return None
        try:
            return checkpoint.load(self.last)
        except InputError as error:
            hint = f"; {others[-1]} beside it can be copied over it" if others else ""
            raise InputError(f"{error}{hint}") from error

    def begin(self, config: Config, environment: Mapping[str, Any], pairs: int) -> None:
        """Writes the resolved settings and the machine, and cuts the metrics back to what the checkpoint knows.

        Args:
            config: as resolved.
            environment: of this process; a resumed run keeps those of its earlier processes.
            pairs: pairs that the checkpoint has seen.
        """
        write_text(self.path / "config.yaml", yaml.safe_dump(to_dict(config), sort_keys=False))
        earlier = self.processes() if pairs else []
        write_json(self.environment, {"processes": [*earlier, {"from_pair": pairs, **environment}]})
        self._cut_metrics(pairs)

    def processes(self) -> list[dict[str, Any]]:
        """The machine and the software of each process that trained this run, as far as they are known."""
        try:
            return list(json.loads(self.environment.read_text(encoding="utf-8"))["processes"])
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def write_step(self, event: StepEvent) -> None:
        """Adds a step to the metrics."""
        self._append(asdict(event))

    def write_incident(self, incident: Incident) -> None:
        """Adds a step that was not taken to the metrics."""
        self._append({"incident": "loss not finite", **asdict(incident)})

    def _append(self, values: Mapping[str, Any]) -> None:
        try:
            with open(self.metrics, "a", encoding="utf-8") as file:
                file.write(json.dumps(_compact(values)) + "\n")
        except OSError as error:
            raise MonetError(f"cannot write {self.metrics}: {error.strerror or error}") from error

    def _cut_metrics(self, pairs: int) -> None:
        """Keeps the lines up to a number of pairs; a torn line is dropped."""
        if not self.metrics.exists():
            return
        with written_whole(self.metrics) as new, open(self.metrics, "rb") as old:
            new.writelines(line for line in old if _pairs(line) <= pairs)


def _pairs(line: bytes) -> float:
    """The pairs that were seen when a line was written; infinite for a torn line."""
    try:
        return float(json.loads(line)["pairs"]) if line.endswith(b"\n") else math.inf
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return math.inf


def _compact(value: Any) -> Any:
    """Numbers to seven significant digits, which is what fp32 holds."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, Mapping):
        return {name: _compact(item) for name, item in value.items()}
    return value
