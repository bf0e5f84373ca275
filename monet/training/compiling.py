"""`torch.compile` for the four networks, tried out before anything depends on it."""

from __future__ import annotations

import logging
from typing import Any

import torch

from monet.config import Config
from monet.device import Precision
from monet.models import Networks
from monet.training.state import memory_format
from monet.training.updater import Updater

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
        _try_out(updater, config, device, precision)
    except Exception as error:  # the compiler's many stages raise nearly anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason"
        logger.warning("torch.compile fails here (%s: %s): going on without it", type(error).__name__, reason)
        updater.networks = eager
        return False
    finally:
        for buffer, value in zip(buffers, kept, strict=True):
            buffer.copy_(value)
        for network in eager.named().values():
            network.zero_grad()
    return True


def _try_out(updater: Updater, config: Config, device: torch.device, precision: Precision) -> None:
    """A step's passes there and back."""
    side = config.data.crop_size
    images = torch.zeros(config.training.batch_size, 3, side, side, device=device)
    images = images.contiguous(memory_format=memory_format(device))
    _, fake_a, fake_b = updater.generator_gradients(images, images, precision)
    shown_a, shown_b = (torch.stack(tuple(fake)) for fake in (fake_a, fake_b))  # as the image pool gives them out
    updater.discriminator_gradients(images, images, shown_a, shown_b, precision)
