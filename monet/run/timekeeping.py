"""Where a run ends: its horizon, which its checkpoint holds, and the deadline of this process."""

from __future__ import annotations

from monet.clock import Clock, Horizon, Reserve, Timekeeper
from monet.errors import InputError
from monet.run.run import Run
from monet.training.state import Counters

_NO_END = "nothing says when to end: give --training.epochs, --horizon or --budget"


def require_an_end(run: Run) -> None:
    """Checks that a new run has epochs, a horizon or a budget.

    Raises:
        InputError: it has none of them.
    """
    config = run.config
    ends = (config.training.total_epochs, config.horizon, config.budget)
    if run.resumed_from is None and ends == (None, None, None):
        raise InputError(_NO_END)


def timekeeper(
    run: Run, counters: Counters, reserve: Reserve | None, clock: Clock, *, samples_per_epoch: int
) -> Timekeeper:
    """Joins the horizon of the run with the deadline of this process.

    Raises:
        InputError: neither of them is there.
    """
    horizon, follows_deadline = _horizon(run, samples_per_epoch)
    if horizon == Horizon() and not follows_deadline:
        raise InputError(_NO_END)
    unchanged = run.resumed_from is not None and horizon == Horizon(**run.resumed_from["horizon"])
    return Timekeeper(
        horizon,
        clock=clock,
        deadline=run.deadline,
        reserve=reserve,
        deadline_is_horizon=follows_deadline,
        seconds=counters.seconds,
        progress=counters.progress if unchanged else 0.0,
    )


def _horizon(run: Run, samples_per_epoch: int) -> tuple[Horizon, bool]:
    """Returns the horizon of the run, and whether the deadline of this process gives it its time. Only an explicit flag
    of another value changes that of a resumed run."""
    config, epochs, explicit = run.config, run.config.training.total_epochs, run.given.explicit
    asked = Horizon(None if epochs is None else epochs * samples_per_epoch, config.horizon_seconds)
    follows_deadline = config.horizon is None and config.budget is not None
    if run.resumed_from is None:
        return asked, follows_deadline
    stored = Horizon(**run.resumed_from["horizon"])
    if explicit & {"training.epochs", "training.stages"} and asked.pairs != stored.pairs:
        return asked, follows_deadline
    return (Horizon(stored.pairs, asked.seconds) if "horizon" in explicit else stored), False
