"""`torch.compile` for the four networks, tried out before anything depends on it."""

from __future__ import annotations

import logging
from typing import Any

import torch

from monet.config import Config
from monet.device import Precision
from monet.models import Networks
from monet.training.updater import Updater, trial_step

logger = logging.getLogger(__name__)


def compile_networks(updater: Updater, config: Config, device: torch.device, precision: Precision) -> bool:
    """Makes an updater call compiled networks, for steps of the run's batch size. They share their weights.

    A whole step on empty images compiles them now, and nothing of it stays: what the compiler cannot do shows before
    the training depends on it.

    Returns:
        False where the compiler fails: the updater's networks are as they were, and the log says why.
    """
    eager = updater.networks
    compiled: dict[str, Any] = {name: torch.compile(network, dynamic=False) for name, network in eager.named().items()}
    buffers = [buffer for network in eager.named().values() for buffer in network.buffers()]
    kept = [buffer.clone() for buffer in buffers]
    updater.networks = Networks(**compiled)
    try:
        trial_step(updater, config, device, precision)
    except Exception as error:  # the compiler's many stages raise nearly anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason"
        logger.warning("torch.compile fails here (%s: %s): going on without it", type(error).__name__, reason)
        updater.networks = eager
        return False
    finally:
        for buffer, value in zip(buffers, kept, strict=True):
            buffer.copy_(value)
    return True
