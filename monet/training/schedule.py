"""The learning rate over a run."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def learning_rate(base: float, progress: float, decay_start: float) -> float:
    """Returns the rate at some progress: constant until `decay_start`, then linear to 0 at progress 1."""
    return base * min(1.0, max(0.0, (1.0 - progress) / (1.0 - decay_start)))


def set_learning_rate(optimizers: Iterable[torch.optim.Optimizer], rate: float) -> None:
    """Sets the rate of all parameters of optimizers."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
