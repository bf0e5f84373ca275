"""Whether a run's networks are compiled."""

from __future__ import annotations

import logging

import torch

from monet.clock import Reserve, format_duration
from monet.context import Context
from monet.device import compile_problem
from monet.run.run import Run
from monet.training.compiling import compile_networks
from monet.training.execution import Execution
from monet.training.state import TrainingState

logger = logging.getLogger(__name__)

_WORTH_COMPILING = {"cuda": 600.0, "cpu": 1200.0}
"""Seconds of training from which on `compile: auto` compiles."""
_WORTH_COMPILING_PARAMETERS = 1_000_000
"""Parameters of a generator from which on it does so on a CPU: a small one gains nothing."""


def compile_if_worth_it(run: Run, execution: Execution, reserve: Reserve | None, context: Context) -> None:
    """Compiles the networks, where that is asked for, or worth its time. The time is no training time."""
    state, device = execution.state, execution.device
    if not context.group.broadcast_object(lambda: should_compile(run, state, reserve, device)):
        return
    problem = compile_problem(device)
    if problem:
        logger.warning("torch.compile does not work here (%s): continuing without it", problem)
        return
    begun = context.clock()
    logger.info("compiling the networks")
    if compile_networks(execution):
        logger.info("compiled in %s", format_duration(context.clock() - begun))


def should_compile(run: Run, state: TrainingState, reserve: Reserve | None, device: torch.device) -> bool:
    """Returns whether compiling the networks is asked for, or earns back the time that it takes. On a CPU, where a
    resumed run is to equal one that never stopped, `auto` stays what it was."""
    setting = run.config.training.compile
    if setting != "auto":
        return setting == "on"
    if (stored := _stored_choice(run, device)) is not None:
        return stored
    if device.type not in _WORTH_COMPILING:
        return False
    parameters = sum(parameter.numel() for parameter in state.networks.generator_ab.parameters())
    if device.type == "cpu" and (run.deadline is None or parameters < _WORTH_COMPILING_PARAMETERS):
        return False
    return run.remaining() - (reserve.seconds() if reserve else 0.0) >= _WORTH_COMPILING[device.type]


def _stored_choice(run: Run, device: torch.device) -> bool | None:
    """Returns the choice of `auto` that the run has stored, where it still holds."""
    stored = run.resumed_from
    if stored is None or stored["config"]["training"]["compile"] != "auto" or stored["device"] != device.type:
        return None
    compiled: bool | None = stored["compiled"]
    return compiled if device.type == "cpu" else None
