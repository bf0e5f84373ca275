"""`torch.compile` for the four networks, tried out before anything depends on it."""

from __future__ import annotations

from typing import Any

import torch

from monet.models import Networks
from monet.training.execution import Execution
from monet.training.trial import trial_step


def compile_networks(execution: Execution) -> bool:
    """Compiles the networks, for steps of the run's batch size and precision. They share their weights.

    A whole step on empty images compiles them now, and nothing of it stays: what the compiler cannot do shows before
    the training depends on it.

    Returns:
        False where the compiler fails: the networks are called as they were before, and the log says why.
    """
    eager = execution.networks_for(execution.precision).named()
    compiled: dict[str, Any] = {name: torch.compile(network, dynamic=False) for name, network in eager.items()}
    buffers = execution.guard.buffers()
    execution.use_compiled(Networks(**compiled))
    threads, execution.threads = execution.threads, None  # PyTorch's compiler is not made for several at once
    try:
        trial_step(execution)
    except Exception as error:  # the compiler's many stages raise nearly anything  # noqa: BLE001
        if execution.compiled:
            execution.use_eager(error)
    finally:
        execution.threads = threads
        execution.guard.restore(buffers)
    return execution.compiled
