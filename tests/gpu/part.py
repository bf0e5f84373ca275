"""What a part of the program is, what it is given, and what it says."""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

START_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""How processes begin: copies of one that has imported everything and done nothing, where the system can do that."""


class Refuted(Exception):
    """A check says no; the message is the part's line."""


class Skipped(Exception):
    """A part has nothing to do here; the message says why."""


@dataclass(frozen=True)
class Found:
    """What a part that passed says."""

    line: str
    """One line."""
    figures: dict[str, Any] = field(default_factory=dict)
    """What JSON can hold."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a part is given."""

    device: str
    """`cuda` or `cpu`."""
    out: Path
    """A folder for files of its own."""
    tiny: bool = False
    """Networks and images are tiny: a rehearsal."""
    data: str = "demo"
    """A data set's folder, or `demo`."""
    weights: Path | None = None
    """Weights of Inception."""
    seconds: float = 600.0
    """Until the part is stopped."""

    @property
    def torch_device(self) -> torch.device:
        """The device, as torch has it."""
        return torch.device(self.device)

    @property
    def cuda(self) -> bool:
        """The device is a GPU."""
        return self.device.startswith("cuda")

    def pick(self, usual: int, tiny: int) -> int:
        """A number for the real thing, or one for the rehearsal."""
        return tiny if self.tiny else usual


@dataclass(frozen=True, kw_only=True)
class Part:
    """A question, and how it is answered."""

    name: str
    """A word, for `--only`."""
    about: str
    """What is checked or measured."""
    work: Callable[[Place], Found]
    """Answers it. Raises Refuted where the answer is no."""
    limit: float = 60.0
    """Seconds after which it is stopped."""
    least: float = 20.0
    """Seconds without which it is not started."""
    needs: tuple[str, ...] = ()
    """Modules without which it is skipped."""
    cuda: bool = False
    """It means nothing on a CPU."""

    def reason_to_skip(self, place: Place) -> str | None:
        """Why the part cannot be asked here; None where it can."""
        if self.cuda and not place.cuda:
            return "no CUDA"
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"{', '.join(absent)} not installed" if absent else None


def require(condition: bool, message: str) -> None:
    """Ends a part whose check says no.

    Raises:
        Refuted: the condition does not hold.
    """
    if not condition:
        raise Refuted(message)
