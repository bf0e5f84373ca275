"""A run that can begin, and the settings that a resumed run may change."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from monet.clock import Clock, Deadline
from monet.config import Config, from_dict
from monet.data.layout import Layout
from monet.display import Display
from monet.distributed import Group
from monet.errors import InputError
from monet.interrupts import Interrupts
from monet.machine import available_processors
from monet.run_folder.folder import RunFolder
from monet.tracking.tracking import Tracking

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run that can begin."""

    config: Config
    """The settings; those of the checkpoint where the run is resumed."""
    layout: Layout
    """The images."""
    folder: RunFolder
    """Where the run lives."""
    checkpoint: dict[str, Any] | None
    """Contents of the checkpoint that the run is resumed from."""
    explicit: frozenset[str] = frozenset()
    """Dotted names of the settings given on the command line itself: only these may change a run's horizon."""
    asked: frozenset[str] = frozenset()
    """Those, and the ones in a recipe named there: what may change in a resumed run."""
    paint: bool = True
    """Painting follows training, so its time is kept free."""
    afterwards: Callable[[], float] | None = None
    """Measures how many seconds scoring takes after the painting; their time is kept free, too."""
    skip_bad: bool = False
    """Photos that cannot be read are left out of the archive; otherwise they end the job before training."""
    clock: Clock
    """Tells the time."""
    started: float
    """When the process began, on that clock."""
    environment: dict[str, Any] = field(default_factory=dict)
    """Further facts for `environment.json`."""
    group: Group = field(default_factory=Group)
    """The processes that train and paint together; the first one of them writes the run's folder."""
    tracking: Tracking = field(default_factory=Tracking)
    """Trackers that follow the run; the first process tells them."""
    display: Display = field(default_factory=Display)
    """Shows progress."""
    interrupts: Interrupts = field(default_factory=Interrupts)
    """Tells when to end."""

    @property
    def processors(self) -> int:
        """Processors for this process alone."""
        return available_processors(self.group.local_world_size)

    @property
    def left(self) -> float:
        """Seconds that the process may still take."""
        return math.inf if self.deadline is None else self.deadline.remaining()

    @property
    def deadline(self) -> Deadline | None:
        """When the process must be over, if it has a budget."""
        budget = self.config.budget_seconds
        return None if budget is None else Deadline(self.clock, self.started, budget)


def merged_config(
    checkpoint: dict[str, Any], asked: Config, explicit: frozenset[str], in_recipe: frozenset[str] = frozenset()
) -> Config:
    """The settings of a resumed run: its own, but for what the command line, or a recipe named there, gives.

    Args:
        checkpoint: the checkpoint that the run is resumed from.
        asked: the settings that the command line and its recipe would give a new run.
        explicit: dotted names of the settings on the command line itself.
        in_recipe: those in the recipe. It does not change where the run ends.

    Raises:
        InputError: a setting that a run cannot change was given another value.
    """
    stored = from_dict(checkpoint["config"])
    changed: dict[str, Any] = {}
    for name in sorted(explicit | in_recipe):
        group, _, setting = name.rpartition(".")
        old, new = (getattr(getattr(config, group) if group else config, setting) for config in (stored, asked))
        if old == new:
            continue
        if name in ("training.epochs", "horizon") and name not in explicit:
            logger.info("%s stays %s, not %s as in the recipe: --%s changes it", name, old, new, name)
            continue
        if group in ("model", "data") or name in ("training.seed", "training.pool_size"):
            raise InputError(f"{name} is {old} in this run and {new} here: a run cannot change it; start another one")
        logger.info("%s changes from %s to %s", name, old, new)
        changed[name] = new
    groups = {
        group: dataclasses.replace(
            getattr(stored, group),
            **{name.split(".")[1]: value for name, value in changed.items() if name.startswith(f"{group}.")},
        )
        for group in ("training", "generation")
    }
    top = {name: value for name, value in changed.items() if "." not in name}
    return dataclasses.replace(stored, **groups, **top)
