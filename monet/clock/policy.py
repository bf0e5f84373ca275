"""The numbers by which time is kept, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The numbers by which time is kept. A number whose unit is not named is a ratio."""

    # Durations and horizons

    longest_duration: int = 100_000
    """Hours. Longer durations are refused: eleven years are a mistake in writing."""
    horizon_tolerance: float = 1e-9
    """Share of a horizon that may be missing where it counts as reached: the seconds of several processes do not add up
    to the last digit."""

    # The pace of training

    window_seconds: float = 2.0
    """Steps are gathered into windows of so many seconds, so that a device that works asynchronously, or one slow step,
    does not look like a slow machine."""
    windows_kept: int = 5
    """Full windows that are remembered: those of `median_seconds`."""
    windows_required: int = 3
    """Full windows from which on a pace is known: of three, one may be disturbed and the median is right."""
    median_seconds: float = 10.0
    """Seconds that the windows cover whose median is the pace: longer is steadier, shorter notices a change sooner."""
    median_windows: int = 2
    """Windows in that median at least, where a step is longer than `median_seconds`."""
    latest_steps: int = 5
    """Steps by which the length of the next one is judged."""
    stall_steps: int = 3
    """Steps from which on the longest of them may be a stall, and the second longest counts."""

    # The reserve: what follows training, and some slack

    slack_work_share: float = 0.5
    """Share of the work after training that is kept once more: it may become slower in the middle."""
    slack_seconds: float = 20.0
    """Seconds of slack in any case, for the save and the end of the process, where painting takes no time."""
    slack_budget_share: float = 0.045
    """Share of a budget that the slack may take where half speed needs it: with the last step, less than 5 % of the
    budget stay unused."""
    probe_tolerance: float = 1.2
    """Two probes that differ by no more than this factor have found the same."""
    probes_compared: int = 12
    """Latest probes among which something that comes and goes is looked for."""
    probe_changes: int = 3
    """Changes among those, up or down, from which on something comes and goes: a single slow minute makes two."""
    probe_spread: float = 2.5
    """Another program that takes its share slows a machine down by no more than this factor: probes further apart are
    not averaged."""

    # The end of training

    kept_share: float = 0.875
    """Share of the training time that a slow-down leaves where ending earlier makes the archive be in time."""
    kept_share_if_late: float = 0.95
    """The same where the archive would be late all the same, if the slow-down lasts."""
    tolerated_slowdown: float = 2.1
    """So many times slower than at best, and the archive is still to be in time: half speed, and some for the probes'
    precision."""
    notable_slowdown: float = 1.1
    """So many times slower than at best, and it is worth a probe whether that lasts."""
    late_work: float = 1.05
    """The work after training takes up to so many times what was measured."""
    late_seconds: float = 12.0
    """Seconds on top of that, for what is not measured: noticing a slow-down (some 6 s), a last probe, the save."""
    half_speed_work: float = 2.0
    """The work after training takes so many times as long on a machine that falls to half its speed."""
    half_speed_seconds: float = 5.0
    """Seconds that are left free beside it where the slack pays for a save or a sample grid."""
    early_share: float = 1 / 6
    """Share of the time, at the beginning, in which a probe may have met a slow minute that nobody can tell from a slow
    machine."""
    doubted_share: float = 1 / 3
    """Share of the time that training is then taken to last, so that progress stays below a half, where the learning
    rate is still constant."""
    doubtful_work: float = 1 / 4
    """Share of the budget; a probe that finds more work than that is doubted in the beginning."""
    steady_seconds: float = 300.0
    """Seconds over which probes have to agree to be believed: slow minutes last less."""
    probe_interval: float = 10.0
    """Seconds between two probes at least, where more are wanted than those at `checkups`."""
    probe_interval_doubted: float = 3.0
    """The same, as a multiple of the time a probe takes, on top of those seconds, while the last one is doubted."""
    probe_interval_share: float = 1 / 4
    """The same, as a share of the training time that is left, where the machine is slower than at best."""
    probes_before_end: float = 2.0
    """The end is measured once more when the time left, but for a step, is that of so many probes."""

    # Progress and the decay

    checkups: tuple[float, ...] = (0.3, 0.6, 0.85)
    """Progress at which what follows training is measured in any case: closer together towards the end, where an error
    can no longer be made up for."""
    fast_decay: float = 1.5
    """So many times faster than usual a decay goes where time is short: it is then hardly worse."""
    fastest_decay: float = 4.0
    """And so many times at most, where there is no other way."""
    finished_share: float = 0.03
    """A decay that stops so near to its end is finished: the learning rate is at most 6 % of what it was."""
    finished_steps: int = 3
    """Or within so many steps of it, where a step is a large part of the way."""
    finished_share_at_most: float = 0.15
    """Share of the way that those steps may be at most."""


DEFAULT_POLICY = Policy()
"""The policy of every run."""
