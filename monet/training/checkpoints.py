"""The checkpoints of a run: `last.pt`, and those that are kept under an epoch's name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monet import checkpoint
from monet.clock import Clock, Timekeeper
from monet.errors import shortened
from monet.training.events import CheckpointEvent, Listeners
from monet.training.execution import Execution

logger = logging.getLogger(__name__)

SAVE_INTERVAL = 600.0
"""Seconds between saves of `last.pt`: what a kill costs at most."""
_LONGEST_REASON = 200
"""Characters of an error that a warning quotes."""


@dataclass(frozen=True)
class Saving:
    """Where and how often a run is saved."""

    folder: Path
    """For `last.pt` and the named checkpoints."""
    facts: dict[str, Any]
    """Further contents of every checkpoint, such as `run_facts`."""
    interval: float = SAVE_INTERVAL
    """Seconds between saves of `last.pt`."""


class Checkpoints:
    """Writes the checkpoints of a run; the first process does, for all.

    Args:
        saving: where and how often.
        execution: the state that is saved.
        timekeeper: knows progress, training time and horizon.
        clock: tells the time.
        listeners: hear of checkpoints that are kept, and of those that cannot be written.
    """

    def __init__(
        self, saving: Saving, execution: Execution, timekeeper: Timekeeper, clock: Clock, listeners: Listeners
    ) -> None:
        self.last = saving.folder / checkpoint.LAST
        self.save_seconds = 0.0
        """Seconds of the last save."""
        self._saving = saving
        self._execution = execution
        self._timekeeper = timekeeper
        self._clock = clock
        self._listeners = listeners
        self._saved_at = clock()
        self._saved_pairs = execution.state.counters.pairs

    def due(self) -> bool:
        """Returns whether the last save is longer ago than the interval."""
        return self._clock() - self._saved_at >= self._saving.interval

    def save(self) -> bool:
        """Writes `last.pt`. Returns whether it is written; a listener may let training continue without."""
        if self._execution.group.rank:
            return True
        begun = self._clock()
        saved = self._written(self._save)
        self._saved_at = self._clock()
        self.save_seconds = self._saved_at - begun
        return saved

    def save_before_failing(self, report: Callable[[], None]) -> None:
        """Saves the last state after a whole step, when an error ends the training.

        Args:
            report: waits for the device, and rolls a step back that was not finite.
        """
        execution, pairs = self._execution, self._execution.state.counters.pairs
        if execution.group.rank or execution.updating or pairs == self._saved_pairs:
            return
        try:
            report()
            self._save()
        except Exception as error:  # the device may be gone, or the disk be full: what ends the training counts more  # noqa: BLE001
            reason = shortened(str(error), _LONGEST_REASON)
            logger.warning("what was trained since the last save is lost: %s", reason)
        else:
            logger.info("saved all %s pairs in %s", f"{execution.state.counters.pairs:,}", self.last)

    def keeps(self, epoch: int) -> bool:
        """Returns whether a checkpoint is kept under the name of this epoch."""
        every = self._execution.config.training.save_every
        return every > 0 and epoch > 0 and epoch % every == 0

    def keep(self, epoch: int) -> None:
        """Keeps `last.pt` under an epoch's name, if that epoch is one to keep and is not kept yet."""
        name = checkpoint.epoch_name(epoch)
        kept = self.last.with_name(name)
        if self._execution.group.rank or not self.keeps(epoch) or not self.last.exists() or kept.exists():
            return
        if self._written(lambda: checkpoint.keep_as(self.last, name)):
            self._listeners.on_checkpoint(CheckpointEvent(self._execution.state.counters.pairs, kept))

    def _save(self) -> None:
        state, counters = self._execution.state, self._execution.state.counters
        counters.seconds, counters.progress = self._timekeeper.seconds, self._timekeeper.reached(counters.pairs)
        horizon = asdict(self._timekeeper.horizon)
        contents = {**state.state_dict(), "horizon": horizon, **self._saving.facts}
        contents["compiled"] = self._execution.compiled
        self._listeners.before_save()
        self._saved_pairs = counters.pairs
        checkpoint.save(self.last, contents)

    def _written(self, write: Callable[[], None]) -> bool:
        """Writes a checkpoint, and tells the listeners where that fails."""
        try:
            write()
        except Exception as error:  # no room on the disk, or in memory  # noqa: BLE001
            self._listeners.on_unsaved(error)
            return False
        return True
