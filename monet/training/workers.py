"""Threads that share the steps of a training on a CPU, and the probe that decides how many.

OpenMP divides every layer among its threads, which wait for each other hundreds of times a step: whatever else keeps
one processor busy makes all of them wait. The two directions of the cycle, the two discriminators, and the parts of a
batch need nothing of each other until their gradients are added up: threads that take these meet twice a step.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
from collections.abc import Iterator

import torch

from monet.clock import Clock
from monet.config import TrainingConfig
from monet.errors import MonetError
from monet.threads import compute_threads
from monet.training.execution import Execution
from monet.training.losses import mixes_images
from monet.training.trial import trial_step

logger = logging.getLogger(__name__)

_PREFERENCE = 1.2
"""So many times faster must the undivided step be to be chosen: beside other work it loses most of its speed."""
_LONG_STEP = 2.0
"""Seconds from which on a first step is no warm-up to be repeated: what is done once weighs little in it."""
_TURNS = 4
"""At most: one to warm up, and three whose median is no outlier."""
_PROBE = 3.0
"""Seconds after which no further turn begins."""


def choose_workers(execution: Execution, clock: Clock, stored: int | None = None) -> int:
    """Chooses how many threads share a step: those that are asked for, or stored; else what a timed probe finds faster.

    Args:
        execution: computes the steps; unchanged. They are shared on a CPU alone.
        clock: tells the time.
        stored: what was chosen for this run before.

    Returns:
        1 for steps that are not shared.
    """
    networks, training = execution.state.networks.named().values(), execution.config.training
    if execution.device.type != "cpu" or any(mixes_images(network) for network in networks):
        return 1  # batch norm's running statistics depend on the order of the passes
    asked = training.workers or stored
    if asked is not None:
        return min(asked, len(training.directions) * training.batch_size)  # there is no more to share
    most = _most_workers(training)
    if most == 1:
        return 1
    try:
        return most if _sharing_is_faster(execution, clock, most) else 1
    except MonetError as error:  # steps at the same time need more memory
        logger.warning("a step is not shared by threads: %s", error)
        return 1


@contextlib.contextmanager
def shared_steps(execution: Execution, workers: int) -> Iterator[None]:
    """Has threads share the steps.

    Args:
        execution: computes the steps.
        workers: threads; with 1 steps are not shared.
    """
    if workers == 1:
        yield
        return
    parts, threads_each = execution.parts, max(1, torch.get_num_threads() // workers)
    training = execution.config.training
    with compute_threads(workers, threads_each) as threads:
        torch.set_num_threads(threads_each)  # the optimizers would wait for each other's threads, too
        execution.threads = threads
        execution.parts = max(parts, min(training.batch_size, workers // len(training.directions)))
        try:
            yield
        finally:
            execution.threads, execution.parts = None, parts


def _most_workers(training: TrainingConfig) -> int:
    """Returns one thread a processor (that PyTorch may use), at most one a direction of each pair of a batch."""
    threads, directions = torch.get_num_threads(), len(training.directions)
    return 1 if threads == 1 else directions * min(training.batch_size, threads // directions)


def _sharing_is_faster(execution: Execution, clock: Clock, workers: int) -> bool:
    """Times whole steps of both kinds, in turns, so that other load on the machine meets both."""
    times: dict[int, list[float]] = {1: [], workers: []}
    began = clock()
    for turn in range(_TURNS):
        if turn > 1 and clock() - began > _PROBE:
            break
        for count, measured in times.items():
            with shared_steps(execution, count):
                start = clock()
                trial_step(execution)
                took = clock() - start
            if turn or took > _LONG_STEP:
                measured.append(took)
        if turn == 0 and all(times.values()):
            break
    undivided, shared = (statistics.median(measured) for measured in times.values())
    logger.debug("a step takes %.3f s undivided, %.3f s shared by %d threads", undivided, shared, workers)
    return shared < _PREFERENCE * undivided or undivided == 0
