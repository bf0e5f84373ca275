"""The time that is kept for what follows training, measured before it begins."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from monet.clock import Reserve, format_duration
from monet.context import Context
from monet.errors import InputError
from monet.generation.painter import Painter, seconds_per_photo
from monet.run.run import Run
from monet.run.samples import readable
from monet.side_products import described

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AfterTraining:
    """What follows training."""

    paint: bool
    """The photos are painted."""
    skip_bad: bool = False
    """Photos that cannot be read are left out of the archive; otherwise they end the run before training."""
    scoring_seconds: Callable[[], float] | None = None
    """Measures how long scoring takes after the painting, where the archive is scored."""


def measured_reserve(run: Run, context: Context, after: AfterTraining, painter: Painter) -> Reserve | None:
    """Measures what follows training.

    Args:
        run: the run, which has a budget.
        context: its surroundings.
        after: what follows.
        painter: paints as after the training, with networks of its own.

    Returns:
        The reserve; None on all but the first process.

    Raises:
        InputError: the budget cannot hold what follows training.
    """
    assert run.deadline
    budget, group, to_paint = run.deadline.budget, context.group, run.layout.to_paint
    sample = readable(to_paint, run.config.generation.batch_size) if after.paint else []
    group.register_probe(_last_known(lambda: seconds_per_photo(painter, sample, context.clock) if sample else 0.0))

    def measure() -> float:
        painting = len(to_paint) * max(group.gather_probe()) / group.world_size
        return painting + (after.scoring_seconds() if after.scoring_seconds else 0.0)

    def begin() -> Reserve:
        reserve = Reserve(measure, budget)
        if reserve.seconds() >= run.remaining():
            reserve.measure_again()  # a busy moment is no reason to refuse
        require_time(run, after, reserve)
        return reserve

    return group.on_rank_zero(begin)


def require_time(run: Run, after: AfterTraining, reserve: Reserve | None) -> None:
    """Checks that something of the budget is left for training.

    Raises:
        InputError: nothing is.
    """
    if run.deadline is None or reserve is None or reserve.seconds() < run.deadline.remaining():
        return
    passed = run.deadline.budget - run.deadline.remaining()
    count, work = len(run.layout.to_paint), format_duration(reserve.work)
    what = f"painting {count:,} photos{' and scoring them' if after.scoring_seconds else ''}"
    reason = (
        f"{what} takes about {work} here" if after.paint else f"ending takes up to {format_duration(reserve.seconds())}"
    )
    raise InputError(
        f"a budget of {run.config.budget} leaves no time to train: {format_duration(passed)} are gone, and {reason}; "
        f"give --budget more than {format_duration(reserve.least_budget(passed))}"
    )


def _last_known(measure: Callable[[], float]) -> Callable[[], float]:
    """Returns a measurement that is repeated during training, and may fail there, as where memory is short: the last
    one holds then."""
    known: float | None = None

    def measure_again() -> float:
        nonlocal known
        try:
            known = measure()
        except Exception as error:
            if known is None:
                raise
            logger.warning("what follows training cannot be measured now: %s", described(error))
        return known

    return measure_again
