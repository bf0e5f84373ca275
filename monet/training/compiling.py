"""`torch.compile` for the four networks, tried out before anything depends on it."""

from __future__ import annotations

from typing import Any

import torch

from monet.config import Config
from monet.device import Precision
from monet.models import Networks
from monet.training.updater import Updater, trial_step


def compile_networks(updater: Updater, config: Config, device: torch.device, precision: Precision) -> bool:
    """Makes an updater call compiled networks, for steps of the run's batch size. They share their weights.

    A whole step on empty images compiles them now, and nothing of it stays: what the compiler cannot do shows before
    the training depends on it.

    Returns:
        False where the compiler fails: the updater's networks are as they were, and the log says why.
    """
    eager = updater.networks.named()
    compiled: dict[str, Any] = {name: torch.compile(network, dynamic=False) for name, network in eager.items()}
    buffers = updater.guard.buffers()
    updater.use_compiled(Networks(**compiled), precision)
    pool, updater.pool = updater.pool, None  # PyTorch's compiler is not made for several threads at once
    try:
        trial_step(updater, config, device, precision)
    except Exception as error:  # the compiler's many stages raise nearly anything
        updater.use_eager(error)
    finally:
        updater.pool = pool
        updater.guard.restore(buffers)
    return updater.compiled
