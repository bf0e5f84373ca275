"""A run's folder: its files, and the rules for starting and resuming."""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from monet import checkpoint
from monet.config import Config, to_dict
from monet.errors import InputError, MonetError
from monet.files import (
    final_name,
    irregular_kind,
    remove_left_behind,
    require_regular,
    write_json,
    write_text,
    written_whole,
)
from monet.run_folder import lock as run_lock
from monet.training.events import Incident, StepEvent
from monet.training.stored import load_checkpoint

logger = logging.getLogger(__name__)

_FOLDERS = {"checkpoints", "samples"}
_FILES = {
    *("config.yaml", "environment.json", "metrics.jsonl", "curves.png"),
    *("scores.jsonl", "report.html", "images.zip"),
}
_APPENDED = {"metrics.jsonl", "scores.jsonl"}
_ADVICE = "move it away, or give --run another name"
_OWN = _FOLDERS | _FILES | {"tracking"}  # trackers get along without their folder

_GRID = re.compile(r"epoch-(\d{1,9})\.png")


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
        self._lock: run_lock.RunLock | None = None

    def hold(self, holder: Mapping[str, Any]) -> Callable[[], None]:
        """Keeps other processes out of the folder, and removes what a killed one left half written.

        Args:
            holder: this process; see `RunLock`.

        Returns:
            A function that releases the folder.

        Raises:
            InputError: another process works here, this is not the folder of a run, or it cannot be written to.
        """
        self._found()
        self._lock = run_lock.RunLock(self.path, holder)
        remove_left_behind(self.path, lambda name: name in _FILES)
        for folder in (self.checkpoints, self.samples):
            remove_left_behind(folder)
        return self._lock.release

    def keep_held(self) -> None:
        """Makes sure that nobody else works in the folder before something is written there. Where it is not held,
        nothing happens.

        Raises:
            MonetError: somebody does, because the folder was moved or removed in the meantime.
        """
        if self._lock:
            self._lock.keep()

    def open(self, resume: bool) -> dict[str, Any] | None:
        """Checks that a command may work here.

        Args:
            resume: continue from `last.pt`; a run that has none yet starts.

        Returns:
            The contents of `last.pt`, or None where the run starts.

        Raises:
            InputError: the folder is not empty and `resume` is not set, it is not a run, or `last.pt` is damaged.
        """
        found = self._found()
        if found and not resume:
            raise InputError(f"{self.path} is not empty: add --resume to resume it, or give --run another name")
        self.require_kinds()
        self._require_writable(found)
        others = [path.name for path in self.saved() if path.name.startswith("epoch-")]
        if not self.last.exists():
            if others:
                raise InputError(
                    f"{self.last} is missing: copy {others[-1]} beside it to that name, or give --run another name"
                )
            return None
        try:
            return load_checkpoint(self.last)
        except InputError as error:
            hint = f"; {others[-1]} beside it can be copied over it" if others else ""
            raise InputError(f"{error}{hint}") from error

    def saved(self) -> list[Path]:
        """Its checkpoints, in the order of their names.

        Raises:
            InputError: their folder cannot be read.
        """
        try:
            return sorted(path for path in self.checkpoints.iterdir() if path.suffix == ".pt")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{self.checkpoints} cannot be read: {error.strerror or error}") from error

    def sample_grids(self) -> dict[int, Path]:
        """Returns the sample grids by their epochs, in order."""
        try:
            found = [(match, path) for path in self.samples.iterdir() if (match := _GRID.fullmatch(path.name))]
        except OSError:
            return {}
        return dict(sorted((int(match.group(1)), path) for match, path in found))

    def require_apart(self, path: Path, own: Path | None = None) -> None:
        """Checks that an output is no file of this run, nor would take the place of one.

        Args:
            path: where a user wants it.
            own: the file of the run that holds such an output.

        Raises:
            InputError: it is.
        """
        place, run = Path(os.path.realpath(path)), Path(os.path.realpath(self.path))
        if own is not None and place == Path(os.path.realpath(own)):
            return
        if place.is_relative_to(run) and place != run:
            name = final_name(place.relative_to(run).parts[0]).casefold()
            if name in _OWN | {run_lock.NAME}:
                raise InputError(f"{path} is for another file of the run in {self.path}: give the output another name")

    def _found(self) -> set[str]:
        """Returns the names in the folder, but for the lock and unfinished files; none where there is no folder yet.

        Raises:
            InputError: it is not the folder of a run, or cannot be read.
        """
        try:
            found = {entry.name for entry in self.path.iterdir()} - {run_lock.NAME}
        except FileNotFoundError:
            if self.path.is_symlink():
                raise InputError(f"{self.path} is a link that leads nowhere: give --run another name") from None
            return set()
        except NotADirectoryError:
            raise InputError(f"{self.path} is not a folder: give --run another name") from None
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror}): give --run another name") from error
        found = {name for name in found if final_name(name) == name or final_name(name) not in _FILES}
        if found and not found & _OWN:
            raise InputError(f"{self.path} is not a run (it holds {min(found)}): give --run another name")
        return found

    def require_kinds(self, but: str = "") -> None:
        """Checks that the run's files are files, and its folders folders: to open anything else may wait without end.

        Args:
            but: a name that may be anything.

        Raises:
            InputError: one is not, or this is not the folder of a run.
        """
        for name in sorted(self._found() & (_FILES | _FOLDERS) - {but}):
            path, expected = self.path / name, "a folder" if name in _FOLDERS else "a file"
            kind = irregular_kind(path) or "a file"
            if path.is_symlink() and (name in _APPENDED or not path.exists()):
                kind = "a link"
            if kind != expected:
                raise InputError(f"{path} is {kind}, where a run has {expected}: {_ADVICE}")

    def _require_writable(self, found: set[str]) -> None:
        for path in (self.path / name for name in sorted(found & (_APPENDED | _FOLDERS))):
            if not os.access(path, os.W_OK):
                raise InputError(f"{path} cannot be written to (Permission denied): {_ADVICE}")

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

    def set_aside(self, epochs: int) -> None:
        """Moves the checkpoints and sample grids of later epochs into a folder `abandoned-1`, `abandoned-2`, …: the run
        resumes from before them, so that they are no part of it any more, and must not be ranked or paint as such.

        Args:
            epochs: complete epochs of the checkpoint that the run resumes from.

        Raises:
            MonetError: they cannot be moved.
        """
        later, grids = (
            sorted(path for path in folder.glob(pattern) if _epoch(path) > epochs)
            for folder, pattern in ((self.checkpoints, "epoch-*.pt"), (self.samples, "epoch-*.png"))
        )
        if not later:  # grids alone are of epochs that come again
            return
        later += grids
        folders = (self.path / f"abandoned-{number}" for number in itertools.count(1))
        place = next(folder for folder in folders if not os.path.lexists(folder))
        try:
            place.mkdir()
            for path in later:
                path.replace(place / path.name)
        except OSError as error:
            raise MonetError(f"cannot move {later[0]} to {place}: {error.strerror or error}") from error
        names = f"{later[0].name} and {len(later) - 1} more" if len(later) > 1 else later[0].name
        logger.warning("the run resumes after epoch %d: %s, of later epochs, moved to %s", epochs, names, place)

    def processes(self) -> list[dict[str, Any]]:
        """Returns the machine and the software of each process that trained this run, as far as they are known."""
        try:
            require_regular(self.environment)
            found = json.loads(self.environment.read_text(encoding="utf-8"))["processes"]
            return [values for values in found if isinstance(values.get("from_pair", 0), int)]
        except FileNotFoundError:
            return []
        except (InputError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            logger.warning("%s is damaged: where this run was trained is not known", self.environment)
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


def _epoch(path: Path) -> int:
    """Returns the epoch in a file's name; 0 where the name is none that a run gives."""
    found = re.fullmatch(r"epoch-(\d{4,9})", path.stem)
    return int(found[1]) if found else 0


def _pairs(line: bytes) -> float:
    """Returns the pairs that were seen when a line was written; infinite for a torn line."""
    try:
        return float(json.loads(line)["pairs"]) if line.endswith(b"\n") else math.inf
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return math.inf


def _compact(value: Any) -> Any:
    """Returns numbers to seven significant digits, which is what fp32 holds."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, Mapping):
        return {name: _compact(item) for name, item in value.items()}
    return value
