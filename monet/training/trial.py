"""A step tried out before anything depends on it: to compile it, or to time it."""

from __future__ import annotations

import torch

from monet.training.execution import Execution
from monet.training.state import memory_format
from monet.training.step import discriminator_tasks, fakes_by_domain, generator_tasks


def trial_step(execution: Execution) -> None:
    """Computes a step's losses and gradients on empty images; only the running statistics of batch norm remember it."""
    config, device, precision = execution.config, execution.device, execution.precision
    images = torch.zeros(config.training.batch_size, 3, *config.data.crop, device=device)
    images = images.contiguous(memory_format=memory_format(device))
    try:
        translated = execution.forward_backward(generator_tasks(execution, images, images), precision)
        # Stacked, as the image pool returns them: that is another memory layout, and to a compiler another graph.
        shown = {domain: torch.stack(tuple(fakes)) for domain, fakes in fakes_by_domain(execution, translated).items()}
        execution.forward_backward(discriminator_tasks(execution, images, images, shown), precision)
    finally:
        for network in execution.state.networks.named().values():
            network.zero_grad()
