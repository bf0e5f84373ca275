"""Events of a training, and the functions that are called with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monet.models import Networks


@dataclass(frozen=True)
class StepEvent:
    """One step, taken and checked."""

    step: int
    """Number of the step, from 1, over the whole run."""
    pairs: int
    """Pairs seen after it, over the whole run."""
    progress: float
    """Share of the horizon that was behind when it was taken, 0 to 1."""
    learning_rate: float
    """The rate it was taken with."""
    losses: dict[str, float]
    """Weighted losses by name, and `generator`, the sum that the generators minimise."""
    seconds: float
    """Training time of the run when it ended."""
    pairs_per_second: float
    """Speed of the last few steps."""
    time_left: float
    """Seconds of training still ahead in this process, as far as is known."""


@dataclass(frozen=True)
class EpochEvent:
    """The first step at or past an epoch's boundary has been taken."""

    epoch: int
    """Epochs that are complete."""
    pairs: int
    """Pairs seen, over the whole run."""
    generators: Networks
    """The networks that would paint now: with averaged generators where the run has them."""


@dataclass(frozen=True)
class CheckpointEvent:
    """A checkpoint has been written that is kept."""

    pairs: int
    """Pairs seen, over the whole run."""
    path: Path
    """The file, which no later one replaces."""


@dataclass(frozen=True)
class Incident:
    """A step whose loss was not finite. It was not taken; its pairs are skipped."""

    pairs: int
    """Pairs seen after the skipped batch."""
    skipped: int
    """Pairs of that batch."""
    fp32_until: int
    """Until this many pairs are seen, training is in fp32."""


def _ignore(_: object) -> None:
    """Ignores an event."""


def _raise(error: Exception) -> None:
    """Raises the error, which ends the run."""
    raise error


@dataclass(frozen=True)
class Listeners:
    """Functions that training calls; what they raise ends the run."""

    on_step: Callable[[StepEvent], None] = _ignore
    on_epoch: Callable[[EpochEvent], None] = _ignore
    on_checkpoint: Callable[[CheckpointEvent], None] = _ignore
    on_incident: Callable[[Incident], None] = _ignore
    before_save: Callable[[], object] = lambda: None
    """Called before a checkpoint is written; what it raises counts as a failure to write it."""
    on_unsaved: Callable[[Exception], None] = _raise
    """A checkpoint could not be written; where this returns, training continues without it."""
