"""Steps that the device may still be computing, and their reports when it has computed them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from monet.clock import Clock, Timekeeper
from monet.training.events import Listeners, StepEvent
from monet.training.execution import Execution
from monet.training.losses import loss_names

_INTERVAL = 1.0
"""Seconds between reports on an accelerator, which each report waits for."""
_SPEED_OVER = 20
"""Steps over which the speed is averaged: short enough to follow a machine that slows down."""


@dataclass(frozen=True)
class PendingStep:
    """A step that the device may still be computing."""

    pairs: range
    progress: float
    learning_rate: float
    seconds: float
    losses: Tensor


@dataclass(frozen=True)
class NonFiniteStep:
    """The first step whose losses or gradients were not finite. Neither it nor those after it changed the state."""

    step: int
    """Its number, from 1, over the whole run."""
    pairs: range
    losses: dict[str, float]


class StepReports:
    """Keeps the steps until the device is asked what became of them.

    Args:
        execution: computes the steps.
        timekeeper: tells the time that is left.
        clock: tells the time.
        listeners: hear of the steps.
    """

    def __init__(self, execution: Execution, timekeeper: Timekeeper, clock: Clock, listeners: Listeners) -> None:
        self._execution = execution
        self._timekeeper = timekeeper
        self._clock = clock
        self._on_step = listeners.on_step
        self._names = loss_names(execution.config.training)
        self._pending: list[PendingStep] = []
        self._times: deque[tuple[int, float]] = deque(maxlen=_SPEED_OVER)
        self._reported = clock()

    def add(self, step: PendingStep) -> None:
        """Keeps a step that has just begun."""
        self._pending.append(step)
        self._times.append((step.pairs.stop, self._clock()))

    def due(self) -> bool:
        """Returns whether to report: on a CPU, which never queues anything, after each step; else about every
        second."""
        return self._execution.device.type == "cpu" or self._clock() - self._reported >= _INTERVAL

    def report(self) -> NonFiniteStep | None:
        """Waits for the device, and tells the listeners of each step before the first that was not finite."""
        pending, self._pending = self._pending, []
        self._reported = self._clock()
        if not pending:
            return None
        counters = self._execution.state.counters
        good = self._execution.guard.read()
        values = torch.stack([step.losses for step in pending]).tolist()
        losses = [dict(zip(self._names, row, strict=True)) for row in values]
        first = counters.step - len(pending) + 1
        for number, step in enumerate(pending[:good]):
            self._on_step(
                StepEvent(
                    step=first + number,
                    pairs=step.pairs.stop,
                    progress=step.progress,
                    learning_rate=step.learning_rate,
                    losses=losses[number],
                    seconds=step.seconds,
                    pairs_per_second=self._speed(),
                    time_left=self._timekeeper.time_left(counters.pairs),
                )
            )
        return None if good is None else NonFiniteStep(first + good, pending[good].pairs, losses[good])

    def _speed(self) -> float:
        """Returns the pairs per second over the last steps; 0 while unknown."""
        (first_pairs, first_time), (last_pairs, last_time) = self._times[0], self._times[-1]
        return (last_pairs - first_pairs) / (last_time - first_time) if last_time > first_time else 0.0
