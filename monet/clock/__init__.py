"""The deadline of a process, the horizon of a run, and the timekeeper that training asks for both.

The *deadline* belongs to a process: when it must be over, painting and writing included. The *horizon* belongs to a
run: where the learning-rate decay ends, in pairs, in training time, or in both. *Progress* is how much of the horizon
is behind: 0 at the start, 1 where the decay is finished.
"""

from monet.clock.deadline import Clock, Deadline
from monet.clock.duration import format_duration, parse_duration
from monet.clock.horizon import Horizon
from monet.clock.pace import Pace
from monet.clock.policy import DEFAULT_POLICY, Policy
from monet.clock.reserve import Reserve, reserve_seconds
from monet.clock.timekeeper import Decision, State, Timekeeper

__all__ = [
    "DEFAULT_POLICY",
    "Clock",
    "Deadline",
    "Decision",
    "Horizon",
    "Pace",
    "Policy",
    "Reserve",
    "State",
    "Timekeeper",
    "format_duration",
    "parse_duration",
    "reserve_seconds",
]
