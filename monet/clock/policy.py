"""The numbers by which time is kept, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The numbers by which time is kept. A number whose unit is not named is a ratio."""

    # Durations and horizons

    longest_duration: int = 100_000
    """Hours. A longer duration is refused: eleven years are a mistake in writing."""
    horizon_tolerance: float = 1e-9
    """Share of a horizon that may be missing when it counts as reached: rounding, as the seconds of several processes
    are added."""

    # The pace of training

    window_seconds: float = 2.0
    """Seconds of steps that form a window, so that a device that works asynchronously, or one slow step, does not look
    like a slow machine."""
    windows_kept: int = 5
    """Number of full windows that are remembered: those that cover `median_seconds`."""
    windows_required: int = 3
    """Number of full windows from which on the pace is known: the median of three ignores one that was disturbed."""
    median_seconds: float = 10.0
    """Seconds that the windows cover whose median is the pace: more is steadier, less notices a slow-down sooner."""
    median_windows: int = 2
    """Least number of windows in that median, where a single step takes longer than `median_seconds`."""
    latest_steps: int = 5
    """Number of steps by which the duration of the next one is estimated: the latest, as a machine changes."""
    stall_steps: int = 3
    """Number of steps from which on the longest is taken for a stall, and the second longest is the estimate."""

    # The reserve: the work after training, and slack

    slack_work_share: float = 0.5
    """Share of the work after training that is added as slack: the machine may slow down in the middle of it."""
    slack_seconds: float = 20.0
    """Seconds of slack in any case, for the save and the end of the process."""
    slack_budget_share: float = 0.045
    """Largest share of the budget that the slack may take to bear half speed from the first photo on: with the last
    step, less than 5 % of the budget stay unused."""
    probe_tolerance: float = 1.2
    """Largest factor between two probes that have found the same: they are short, and vary on any machine."""
    probes_compared: int = 12
    """Number of latest probes in which an alternating load is looked for; older ones say little about the present."""
    probe_changes: int = 3
    """Number of changes among those probes, up or down, that make the load alternating: one slow minute makes two."""
    probe_spread: float = 2.5
    """Largest factor between those probes: a program that shares the machine slows it down by less, and a stall by
    more, which is not to be averaged."""

    # The end of training

    kept_share: float = 0.875
    """Share of the training time that a slow-down leaves where an archive that is begun then is in time: the learning
    is worth more than an archive that is safe from any slow minute."""
    kept_share_if_late: float = 0.95
    """The same share where the archive would be late even then: ending so early would gain nothing."""
    tolerated_slowdown: float = 2.1
    """Slow-down, compared with the best probe, at which the archive is still to be in time: half speed, and the error
    of a probe."""
    notable_slowdown: float = 1.1
    """Slow-down from which on a probe has to tell whether it lasts; less is within the variation of steps."""
    late_work: float = 1.05
    """Factor on the work after training in the estimate of when it would be late: the error of a probe."""
    late_seconds: float = 12.0
    """Seconds added to it for what is not measured: noticing a slow-down (some 6 s), a last probe, the save."""
    half_speed_work: float = 2.0
    """Factor on the work after training for a machine that falls to half its speed."""
    half_speed_seconds: float = 5.0
    """Seconds added to it, for the save, where the slack pays for what follows the last step."""
    early_share: float = 1 / 6
    """Share of the time, at the beginning, in which a probe that finds very much work is doubted: it may have met a
    slow minute, and there is no other probe to compare it with."""
    doubted_share: float = 1 / 3
    """Share of the time that training is taken to last while a probe is doubted: after `early_share` of the time,
    progress is then no more than a half, where the learning rate is still constant."""
    doubtful_work: float = 1 / 4
    """Share of the budget from which on the work that a probe finds is very much."""
    steady_seconds: float = 300.0
    """Seconds over which probes have to agree to be believed: slow minutes last less."""
    probe_interval: float = 10.0
    """Least seconds between two probes, and so many more for each second that a probe takes: probes are no training."""
    probe_interval_doubted: float = 3.0
    """Seconds more for each second that a probe takes, while the last probe is doubted: probes are then more frequent,
    because the next one may end the doubt."""
    probe_interval_share: float = 1 / 4
    """Share of the training time left that passes between two probes of a slow machine: their number stays small, and
    the last ones are close to the end."""
    probes_before_end: float = 2.0
    """Number of probes whose time is kept before the end, so that the one that confirms it makes nothing late."""

    # Progress and the decay

    checkups: tuple[float, ...] = (0.3, 0.6, 0.85)
    """Progress at which the work after training is measured in any case, closer together towards the end, where less
    time is left to make up for an error."""
    fast_decay: float = 1.5
    """Factor by which the decay goes faster than usual where time is short: a slow-down has to leave time for it."""
    fastest_decay: float = 4.0
    """The largest such factor, where there is no other way to finish the decay."""
    finished_share: float = 0.03
    """Share of the way that a finished decay may lack: the learning rate is then at most 6 % of its start."""
    finished_steps: int = 3
    """Number of steps that it may lack instead, where a step is a large part of the way."""
    finished_share_at_most: float = 0.15
    """Largest share of the way that those steps may be; with more, the decay is unfinished."""


DEFAULT_POLICY = Policy()
"""The policy of every run."""
