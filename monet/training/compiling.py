"""`torch.compile` for the four networks, tried out before anything depends on it."""

from __future__ import annotations

import logging
from typing import Any

import torch

from monet.config import Config
from monet.device import Precision, autocast
from monet.models import Networks
from monet.training.state import TrainingState, memory_format
from monet.training.step import discriminator_losses, generator_pass

logger = logging.getLogger(__name__)


def compiled_networks(
    state: TrainingState, config: Config, device: torch.device, precision: Precision
) -> Networks | None:
    """The networks of a run, compiled for steps of its batch size. They share their weights with the run's own.

    A whole step on empty images compiles them now, and nothing of it stays: what the compiler cannot do shows before
    the training depends on it.

    Returns:
        None where the compiler fails; the log says why.
    """
    compiled: dict[str, Any] = {
        name: torch.compile(network, dynamic=False) for name, network in state.networks.named().items()
    }
    networks = Networks(**compiled)
    buffers = [buffer for network in state.networks.named().values() for buffer in network.buffers()]
    kept = [buffer.clone() for buffer in buffers]
    try:
        _try_out(networks, state, config, device, precision)
    except Exception as error:  # the compiler's many stages raise nearly anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason"
        logger.warning("torch.compile fails here (%s: %s): going on without it", type(error).__name__, reason)
        return None
    finally:
        for buffer, value in zip(buffers, kept, strict=True):
            buffer.copy_(value)
        for network in state.networks.named().values():
            network.zero_grad()
    return networks


def _try_out(
    networks: Networks, state: TrainingState, config: Config, device: torch.device, precision: Precision
) -> None:
    """A step's passes there and back."""
    training, side = config.training, config.data.crop_size
    images = torch.zeros(training.batch_size, 3, side, side, device=device)
    images = images.contiguous(memory_format=memory_format(device))
    with autocast(device, precision):
        made = generator_pass(
            networks,
            images,
            images,
            lambda_cycle=training.lambda_cycle,
            lambda_identity=training.lambda_identity,
        )
    made.total.backward(inputs=state.networks.generators())  # type: ignore[no-untyped-call]
    fakes = torch.stack(tuple(made.fake_a))
    with autocast(device, precision):
        judged = discriminator_losses(networks, images, images, fakes, fakes)
    torch.stack(list(judged.values())).sum().backward(inputs=state.networks.discriminators())  # type: ignore[no-untyped-call]
