"""A step tried out before anything depends on it: to compile it, or to time it."""

from __future__ import annotations

import torch

from monet.training.execution import Execution
from monet.training.state import memory_format
from monet.training.step import discriminator_tasks, generator_tasks


def trial_step(execution: Execution) -> None:
    """Computes a step's losses and gradients on empty images; only the running statistics of batch norm remember it."""
    side, device, precision = execution.config.data.crop_size, execution.device, execution.precision
    images = torch.zeros(execution.config.training.batch_size, 3, side, side, device=device)
    images = images.contiguous(memory_format=memory_format(device))
    try:
        ab, ba = execution.forward_backward(generator_tasks(execution, images, images), precision)
        # Stacked, as the image pool returns them: that is another memory layout, and to a compiler another graph.
        shown_b, shown_a = (torch.stack(tuple(direction.fakes[0])) for direction in (ab, ba))
        execution.forward_backward(discriminator_tasks(execution, images, images, shown_a, shown_b), precision)
    finally:
        for network in execution.state.networks.named().values():
            network.zero_grad()
