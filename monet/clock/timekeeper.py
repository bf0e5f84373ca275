"""How far training is, and when it stops."""

from __future__ import annotations

import logging
import math

from monet.clock.ending import TrainingEnd
from monet.clock.reserve import Pace, Reserve
from monet.clock.terms import Clock, Deadline, Horizon

logger = logging.getLogger(__name__)

_CHECKUPS = (0.3, 0.6, 0.85)
"""Progress at which what follows training is measured in any case."""
_HASTE, _MOST_HASTE = 1.5, 4.0
"""So many times faster than usual a decay goes where time is short, and at most where there is no other way."""
_CLOSE, _CLOSE_AT_MOST = 0.03, 0.15
"""A decay that stops so near to its end is finished; where three steps are a larger share, so near, at most."""


class Timekeeper:
    """Tells training how far it is, and when to stop.

    Args:
        horizon: where the decay ends. It may have no term at all if there is a deadline: then, as where it has pairs
            only, `deadline_is_horizon` makes the training time that the deadline allows its time term.
        clock: tells the time.
        deadline: when this process must be over, if it has a budget.
        reserve: what must be left of it when training stops.
        deadline_is_horizon: the run has no time horizon of its own yet.
        seconds: training time of the earlier processes of this run.
        progress: progress at the end of the earlier processes.
        pace: of the training steps; the reserve's.
    """

    def __init__(
        self,
        horizon: Horizon,
        *,
        clock: Clock,
        deadline: Deadline | None = None,
        reserve: Reserve | None = None,
        deadline_is_horizon: bool = False,
        seconds: float = 0.0,
        progress: float = 0.0,
        pace: Pace | None = None,
    ) -> None:
        if deadline is None and (deadline_is_horizon or horizon == Horizon()):
            raise ValueError("a horizon without terms needs a deadline")
        self._horizon = horizon
        self._clock = clock
        self._end = TrainingEnd(clock, deadline, reserve) if deadline else None
        self._follows_deadline = deadline_is_horizon
        self._base = seconds
        self._began = self._asked = clock()
        self._ended = math.inf
        self._progress = self._last_step = progress
        self.pace = pace or Pace()
        """How fast steps are; training records each one."""
        self.left_out = 0.0
        """Share of the decay that was left out when it was called finished."""
        if self._end and deadline_is_horizon and seconds:
            self._progress = max(progress, seconds / (seconds + max(0.0, self._end.at_best())))
        self._checkups = [share for share in _CHECKUPS if share > self._progress]

    @property
    def seconds(self) -> float:
        """Training time of the run so far."""
        return self._base + (min(self._clock(), self._ended) - self._began)

    def allowed(self) -> float:
        """Seconds that this process may still train before it eats into the reserve; infinite without a deadline."""
        return self._end.left(self._least_seconds_to_finish()) if self._end else math.inf

    @property
    def horizon(self) -> Horizon:
        """The horizon as it stands. One that follows the deadline is where the decay would end on a machine as fast as
        it was at best, and always ahead: a later process continues from the same progress."""
        if not self._follows_deadline or self._end is None:
            return self._horizon
        self._follow_deadline()
        ends = [self.seconds + self._end.at_best(), self.seconds + self.allowed()]
        if self._progress > 0:
            ends.append(self.seconds / self._progress)
        return Horizon(self._horizon.pairs, max(ends))

    def progress(self, pairs: int) -> float:
        """Progress of the step that begins now: how much of the horizon is behind after `pairs` pairs, from 0 to 1.
        Never decreases."""
        self._last_step = self.reached(pairs)
        return self._last_step

    def reached(self, pairs: int) -> float:
        """Progress now, where no step begins."""
        if self._follows_deadline:
            self._follow_deadline()
        self._progress = max(self._progress, self._horizon.progress(pairs, self.seconds))
        return self._progress

    def time_left(self, pairs: int) -> float:
        """Seconds of training still ahead in this process, as far as is known now."""
        share = self._horizon.progress(pairs, self.seconds)  # a term that the deadline sets is in `allowed`
        by_horizon = self.seconds * (1 - share) / share if share > 0 else math.inf
        return max(0.0, min(by_horizon, self.allowed()))

    def at_horizon(self, pairs: int) -> bool:
        """True when the horizon is reached."""
        return self._horizon.progress(pairs, self.seconds) >= 1.0

    def should_stop(self, pairs: int, pause: float = 0.0) -> bool:
        """True when the horizon is reached, or when one more step would eat into the reserve.

        Args:
            pairs: pairs seen.
            pause: seconds that are known to follow the next step, such as for a save.
        """
        if self.at_horizon(pairs):
            return True
        if self._end is None:
            return False
        needed = self.pace.next_step + pause
        if self._checkups and self._progress >= self._checkups[0]:
            self._checkups.pop(0)
            self._probe()
        left = self.allowed()
        if self._end.needs_probe(left, needed):
            self._probe()
            left = self.allowed()
        if self._unfinished and needed < self._end.at_most():
            return left <= 0  # the slack may pay for a last step
        return left <= (self.pace.next_step if needed < self._end.at_half_speed() else needed)  # or for the pause

    def finish_decay(self, pairs: int) -> bool:
        """Ends training: the horizon of a run that followed the deadline stays where it is from now on. It is reached
        where the decay is finished, or so close to its end that not another step would fit.

        Returns:
            True where the learning-rate decay is finished; False where the deadline came first.
        """
        self.reached(pairs)
        self._ended = self._clock()
        if self._unfinished:
            self._progress = self._last_step  # what no step has used is still ahead
            self._horizon = self.horizon
            done = 100 * self._progress
            logger.warning("no time is left to finish the learning-rate decay: it ends at %.0f %%", done)
        elif self._follows_deadline:
            self._horizon = Horizon(self._horizon.pairs, self.seconds)
            self.left_out = 1.0 - self._last_step
        self._follows_deadline = False
        return self.reached(pairs) >= 1.0

    @property
    def _unfinished(self) -> bool:
        """The decay follows the deadline, and the last step was not at its end, nor within three steps of it."""
        share = 3 * self.pace.next_step / self.seconds if self.seconds > 0 else 0.0
        return self._follows_deadline and 1.0 - self._last_step > min(_CLOSE_AT_MOST, max(_CLOSE, share))

    def _probe(self) -> None:
        """Measures what follows. Nothing is learned meanwhile, so progress goes on afterwards from where it is."""
        if self._follows_deadline:
            self._follow_deadline()
        if self._end:
            self._end.probe()
        self._asked = self._clock()

    def _least_seconds_to_finish(self) -> float:
        """Seconds that the decay needs at least to its end."""
        if not self._follows_deadline:
            return 0.0
        return self._rest() / _HASTE - (self._clock() - self._asked)

    def _rest(self) -> float:
        """Seconds that the rest of the decay takes on a machine as fast as it was at best."""
        total = self.seconds + (max(0.0, self._end.at_best()) if self._end else 0.0)
        return (1.0 - self._progress) * total

    def _follow_deadline(self) -> None:
        """Brings progress up to date where the deadline sets the horizon.

        With a fixed end this is exactly elapsed / total. Where the end comes nearer, the rest of the way bends to it;
        where it moves away, progress waits until elapsed / total has caught up. It never reaches 1 while training.
        """
        now = self._clock()
        passed = now - self._asked
        left = max(self.allowed(), self.pace.next_step, self._rest() / _MOST_HASTE - passed)
        self._asked = now
        if left > 0:
            bent = self._progress + (1.0 - self._progress) * passed / (left + passed)
            self._progress = max(self._progress, min(bent, self.seconds / (self.seconds + left)))
