"""The learning rate over a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from monet.config import TrainingConfig

_ROUNDING = 1e-6
"""Epochs by which a step may be taken for one of the next stage: progress is a rounded number."""


def learning_rate(training: TrainingConfig, progress: float) -> float:
    """Returns the rate of a run at some progress, 0 to 1: that of its stage, or of its decay."""
    if training.stages:
        return rate_of_stage(training.stages, progress)
    return decayed_rate(training.learning_rate, progress, training.decay_start)


def decayed_rate(base: float, progress: float, decay_start: float) -> float:
    """Returns the rate at some progress: constant until `decay_start`, then linear to 0 at progress 1."""
    return base * min(1.0, max(0.0, (1.0 - progress) / (1.0 - decay_start))) if decay_start < 1 else base


def rate_of_stage(stages: Sequence[tuple[int, float]], progress: float) -> float:
    """Returns the rate of the stage at some progress.

    Args:
        stages: epochs and learning rate of each.
        progress: 0 to 1; the stages share it as they do the epochs.
    """
    remaining = progress * sum(epochs for epochs, _ in stages) + _ROUNDING
    for epochs, rate in stages:
        if remaining < epochs:
            return rate
        remaining -= epochs
    return stages[-1][1]


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], rate: float) -> None:
    """Sets the rate of all parameters of optimizers."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
