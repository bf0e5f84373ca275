"""Skipping a step that was not finite."""

from __future__ import annotations

import logging

from monet.errors import MonetError
from monet.training.events import Incident
from monet.training.execution import Execution
from monet.training.reporting import NonFiniteStep
from monet.training.state import new_scaler

logger = logging.getLogger(__name__)

MAX_INCIDENTS = 3
"""A run gives up at this many steps whose loss was not finite: one may be bad luck, a third is a pattern."""


class NotFiniteTooOften(MonetError):
    """A run gave up: its loss was not finite too often."""


def roll_back(execution: Execution, bad: NonFiniteStep, samples_per_epoch: int) -> Incident:
    """Sets the counters behind the pairs of a step that was not finite, with an epoch in fp32 ahead.

    The device kept the rest of the state from before that step (see `Guard`).
    """
    state, counters = execution.state, execution.state.counters
    counters.pairs, counters.step = bad.pairs.stop, bad.step - 1
    counters.skipped += len(bad.pairs)
    counters.fp32_until = bad.pairs.stop + samples_per_epoch
    state.scaler = new_scaler(execution.device, execution.precision)
    incident = Incident(bad.pairs.stop, len(bad.pairs), counters.fp32_until)
    state.incidents.append(incident)
    logger.log(
        logging.DEBUG if execution.group.rank else logging.WARNING,
        "the loss is not finite at pairs %d to %d (%s): not stepped on; these pairs are skipped and the next epoch "
        "is trained in fp32 (%d of at most %d times)",
        bad.pairs.start,
        bad.pairs.stop - 1,
        ", ".join(f"{name} {value:.4g}" for name, value in bad.losses.items()),
        len(state.incidents),
        MAX_INCIDENTS,
    )
    return incident
