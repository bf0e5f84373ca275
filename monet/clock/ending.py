"""When the training of a process has to end, so that what follows is done by the deadline."""

from __future__ import annotations

from monet.clock.reserve import Reserve
from monet.clock.terms import Clock, Deadline

_KEPT = 0.875
"""Share of the training time that a slow-down leaves where ending earlier makes the archive be in time."""
_KEPT_IN_VAIN = 0.95
"""The same where even that would be late."""
_BORNE = 2.1
"""So many times slower than at best, and the archive is to be in time: half speed, and some."""
_NOTABLE = 1.1
"""So many times slower than at best, and it is worth a probe whether that lasts."""
_FIRST = 1 / 6
"""Share of the time, at the beginning, in which a probe may have met a slow minute that nobody can tell from a slow
machine. Training is then taken to last for a third of the time, so that progress stays below a half."""
_DOUBTFUL = 1 / 4
"""Share of the budget; a probe that finds more work than that is doubted in the beginning."""
_STEADY = 300.0
"""Seconds over which probes have to agree to be believed: slow minutes last less."""


class TrainingEnd:
    """When the training of a process has to end.

    Training ends when the reserve is reached; `left` counts down to that. Where the machine is slower than it was at
    best, the reserve is larger, and nobody knows for how long. A slow minute must not cost the learning: it takes at
    most an eighth of the training time, however slow the machine is, and more only as far as half speed needs it.

    Args:
        clock: tells the time.
        deadline: when the process must be over.
        reserve: what must be left of it; nothing by default.
    """

    def __init__(self, clock: Clock, deadline: Deadline, reserve: Reserve | None = None) -> None:
        self._clock = clock
        self._deadline = deadline
        self._reserve = reserve
        self._began = self._probed = clock()
        self._probe_took = 0.0
        self._steady_since = self._began
        self._time = deadline.remaining()

    def at_best(self) -> float:
        """Seconds of training left on a machine that goes on as fast as it was at best; below 0 when they are over."""
        return self._deadline.remaining() - (self._reserve.seconds_for(self._reserve.at_best) if self._reserve else 0.0)

    def left(self, landing: float) -> float:
        """Seconds of training left; below 0 when they are over.

        Args:
            landing: seconds that the learning-rate decay needs at least from now on. They are taken from the slack.
        """
        reserve, remaining = self._reserve, self._deadline.remaining()
        if reserve is None:
            return remaining
        passed = self._clock() - self._began
        total = passed + self.at_best()
        early = _KEPT * total - passed
        kept = early if early <= self._until_late(reserve.work) else _KEPT_IN_VAIN * total - passed
        left = max(remaining - reserve.seconds(), min(max(kept, landing), self.at_most()))
        if not self._doubted:
            return left
        doubt, at_half_speed = 2 * _FIRST * self._time - passed, _BORNE * reserve.at_best
        if reserve.work <= at_half_speed and passed + self._until_late(at_half_speed) > 0:
            doubt = min(doubt, self.at_most())  # half speed is borne wherever the budget has room for it
        return max(left, doubt)

    def at_most(self) -> float:
        """Seconds of training left where all of the slack is used up, for a machine down to half its speed."""
        if self._reserve is None:
            return self._deadline.remaining()
        return self._until_late(min(self._reserve.work, _BORNE * self._reserve.at_best))

    def at_half_speed(self) -> float:
        """Seconds of training left on a machine that falls to half its present speed when it begins to paint."""
        return self._deadline.remaining() - (2.0 * self._reserve.work + 5.0 if self._reserve else 0.0)

    def probe(self) -> None:
        """Measures what follows."""
        if self._reserve:
            begun = self._clock()
            self._reserve.measure_again()
            self._probed = self._clock()
            self._probe_took = self._probed - begun
            if not self._reserve.steady:
                self._steady_since = self._probed

    def needs_probe(self, left: float, needed: float) -> bool:
        """Whether to measure before the next step. No training ends by an old measurement, nor by the pace alone.

        Args:
            left: seconds of training left.
            needed: seconds that the next step takes.
        """
        if self._reserve is None:
            return False
        age, patience = self._clock() - self._probed, 10 * (1 + self._probe_took)
        if self._doubted and (age > 10 + 3 * self._probe_took or self._clock() - self._began >= _FIRST * self._time):
            return True
        if left <= needed + 2 * self._probe_took:
            return age > patience or self._reserve.work > _NOTABLE * self._reserve.measured
        return self._reserve.work > _NOTABLE * self._reserve.at_best and age > max(patience, left / 4)

    def _until_late(self, work: float) -> float:
        """Seconds after which so much work makes the process late."""
        return self._deadline.remaining() - 1.05 * work - 12.0

    @property
    def _doubted(self) -> bool:
        """No probe is younger than the beginning, or has found the same for long, and the last one found very much."""
        if self._reserve is None or self._probed >= self._began + _FIRST * self._time:
            return False
        if self._probed - self._steady_since >= _STEADY:
            return False
        return self._reserve.work > _DOUBTFUL * self._deadline.budget
