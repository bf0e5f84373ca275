"""Whether a run's networks are compiled."""

from __future__ import annotations

import logging

import torch

from monet.clock import Reserve, format_duration
from monet.device import compile_problem
from monet.run.resume import Job
from monet.training.compiling import compile_networks
from monet.training.execution import Execution
from monet.training.state import TrainingState

logger = logging.getLogger(__name__)

_WORTH_COMPILING = {"cuda": 600.0, "cpu": 1200.0}
"""Seconds of training from which on `compile: auto` compiles."""
_WORTH_COMPILING_PARAMETERS = 1_000_000
"""Parameters of a generator from which on it does so on a CPU: a small one gains nothing."""


def compile_if_worth_it(job: Job, execution: Execution, reserve: Reserve | None) -> None:
    """Compiles the networks, where that is asked for, or worth its time. The time is no training time."""
    if not job.group.broadcast_object(lambda: should_compile(job, execution.state, reserve, execution.device)):
        return
    problem = compile_problem(execution.device)
    if problem:
        logger.warning("torch.compile does not work here (%s): continuing without it", problem)
        return
    begun = job.clock()
    logger.info("compiling the networks")
    if compile_networks(execution):
        logger.info("compiled in %s", format_duration(job.clock() - begun))


def should_compile(job: Job, state: TrainingState, reserve: Reserve | None, device: torch.device) -> bool:
    """Whether compiling the networks is asked for, or earns back the time that it takes. On a CPU, where a resumed
    run is to equal one that never stopped, `auto` stays what it was."""
    setting = job.config.training.compile
    if setting != "auto":
        return setting == "on"
    if (stored := _stored_choice(job, device)) is not None:
        return stored
    if device.type not in _WORTH_COMPILING:
        return False
    parameters = sum(parameter.numel() for parameter in state.networks.generator_ab.parameters())
    if device.type == "cpu" and (job.deadline is None or parameters < _WORTH_COMPILING_PARAMETERS):
        return False
    return job.left - (reserve.seconds() if reserve else 0.0) >= _WORTH_COMPILING[device.type]


def _stored_choice(job: Job, device: torch.device) -> bool | None:
    """Returns the choice of `auto` that the run has stored, where it still holds."""
    stored = job.checkpoint
    if stored is None or stored["config"]["training"]["compile"] != "auto" or stored["device"] != device.type:
        return None
    compiled: bool | None = stored["compiled"]
    return compiled if device.type == "cpu" else None
