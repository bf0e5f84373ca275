"""The protocol of trackers, and the messages that they receive."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Ending = Literal["completed", "stopped", "failed"]
"""How a run's process ends: as it should, told to (it can continue), or with an error."""


class Tracker(Protocol):
    """Somewhere that a run's numbers, pictures and files go. Whatever a method raises is logged once, and no more.

    The x-axis is pairs seen over the whole run, which neither batch size nor number of processes changes.
    """

    def scalars(self, pairs: int, values: Mapping[str, float]) -> None:
        """Numbers at a point of the training; `loss/cycle_a` belongs to the group `loss`."""

    def picture(self, pairs: int, name: str, path: Path) -> None:
        """A picture file at a point of the training."""

    def model(self, pairs: int, path: Path) -> None:
        """A checkpoint that is kept."""

    def artifact(self, path: Path) -> None:
        """A file that came of the run, such as its report."""

    def summary(self, values: Mapping[str, float]) -> None:
        """Numbers that hold for the run as a whole, such as its score."""

    def close(self, ending: Ending) -> None:
        """Sends what is not sent yet. Nothing follows."""


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """Facts about the run that a tracker is created with."""

    name: str
    """The tracker's."""
    run: str
    """The run's name."""
    folder: Path
    """Where the tracker may write: `tracking/` in the run's folder."""
    settings: dict[str, Any]
    """The resolved config, nested."""
    facts: dict[str, Any]
    """The machine and the software."""
    pairs: int
    """Pairs that were seen before this process: it resumes from there."""
    online: bool
    """There are credentials for the tracker's server."""
    memory: dict[str, Any] = field(default_factory=dict)
    """State that the tracker stored in an earlier process of the run."""

    @property
    def log(self) -> Path:
        """Where the output of the tracker's library goes."""
        return self.folder / f"{self.name}.log"

    @property
    def kept(self) -> Path:
        """Where `memory` is kept."""
        return self.folder / f"{self.name}.json"


@dataclass(frozen=True)
class Reporter:
    """How a tracker speaks while it works."""

    tell: Callable[[str], None]
    """Shows the person who waits for the run a line."""
    remember: Callable[[dict[str, Any]], None]
    """Keeps values for a later process of the run."""


OpenTracker = Callable[[RunInfo, Reporter], Tracker]
"""Starts a tracker. A function of a module, so that another process finds it."""


class NoTracker(Exception):
    """A tracker cannot be had; the message says what to do."""


@contextlib.contextmanager
def installed(package: str) -> Iterator[None]:
    """Around the import of a tracker's package.

    Raises:
        NoTracker: it is not installed.
    """
    try:
        yield
    except ImportError:
        raise NoTracker(f"is not installed: pip install {package}; the run continues without it") from None


@dataclass(frozen=True)
class Scalars:
    """A message for `Tracker.scalars`."""

    pairs: int
    values: dict[str, float]


@dataclass(frozen=True)
class Picture:
    """A message for `Tracker.picture`."""

    pairs: int
    name: str
    path: Path


@dataclass(frozen=True)
class Model:
    """A message for `Tracker.model`."""

    pairs: int
    path: Path


@dataclass(frozen=True)
class Artifact:
    """A message for `Tracker.artifact`."""

    path: Path


@dataclass(frozen=True)
class Summary:
    """A message for `Tracker.summary`."""

    values: dict[str, float]


@dataclass(frozen=True)
class Shutdown:
    """A message for `Tracker.close`; the last one."""

    ending: Ending


Message = Scalars | Picture | Model | Artifact | Summary | Shutdown


def deliver(message: Message, tracker: Tracker) -> None:
    """Calls the method that a message is for."""
    match message:
        case Scalars(pairs, values):
            tracker.scalars(pairs, values)
        case Picture(pairs, name, path):
            tracker.picture(pairs, name, path)
        case Model(pairs, path):
            tracker.model(pairs, path)
        case Artifact(path):
            tracker.artifact(path)
        case Summary(values):
            tracker.summary(values)
        case Shutdown(ending):
            tracker.close(ending)
