"""The deadline of a process, the horizon of a run, and the timekeeper that training asks for both.

The *deadline* belongs to a process: when it must be over, painting and writing included. The *horizon* belongs to a
run: where the learning-rate decay ends, in pairs, in training time, or in both. *Progress* is how much of the horizon
is behind: 0 at the start, 1 where the decay has decay_finished.
"""

from monet.clock.durations import format_duration, parse_duration
from monet.clock.ending import TrainingEnd
from monet.clock.reserve import LEAST_RESERVE, Pace, Reserve
from monet.clock.terms import Clock, Deadline, Horizon
from monet.clock.timekeeper import Timekeeper

__all__ = [
    "LEAST_RESERVE",
    "Clock",
    "Deadline",
    "Horizon",
    "Pace",
    "Reserve",
    "Timekeeper",
    "TrainingEnd",
    "format_duration",
    "parse_duration",
]
