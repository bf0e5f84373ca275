"""How far training is, and when it stops."""

from __future__ import annotations

import enum
import logging
import math
from dataclasses import dataclass

from monet.clock.deadline import Clock, Deadline
from monet.clock.horizon import Horizon
from monet.clock.pace import Pace
from monet.clock.policy import DEFAULT_POLICY, Policy
from monet.clock.reserve import Reserve
from monet.clock.training_end import TrainingEnd, TrainingEndBeforeWork

logger = logging.getLogger(__name__)


class State(enum.Enum):
    """The state of training before a step."""

    TRAINING = enum.auto()
    """Another step begins."""
    FINISHING = enum.auto()
    """Another step begins, but there is no time for what is optional after it: a sample grid, or a save before the last
    one."""
    STOP = enum.auto()
    """No step begins: the horizon is reached, or the step would use time of the reserve."""


@dataclass(frozen=True)
class Decision:
    """The decision about the next step."""

    state: State
    """Whether the step begins."""
    progress: float
    """Progress of that step, from 0 to 1: it sets the learning rate."""


class _Phase(enum.Enum):
    """The state of the horizon."""

    FOLLOWING = enum.auto()
    """The deadline of this process sets the time term, which moves with the speed of the machine."""
    FIXED = enum.auto()
    """Given by the settings, or stored."""
    ENDED = enum.auto()
    """Training is over; the horizon does not move any more."""


class _Timer:
    """Measures the training time of a run, until it is stopped.

    Args:
        clock: tells the time.
        earlier: seconds of the earlier processes.
    """

    def __init__(self, clock: Clock, earlier: float) -> None:
        self._clock = clock
        self._earlier = earlier
        self._began = clock()

    def seconds(self) -> float:
        """Returns the training time so far."""
        return self._earlier + (self._clock() - self._began)

    def stop(self) -> None:
        """Keeps the training time as it is now."""
        ended = self._clock()
        self._clock = lambda: ended


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
        policy: how fast a decay may be finished, and where it counts as finished.
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
        policy: Policy = DEFAULT_POLICY,
    ) -> None:
        if deadline is None and (deadline_is_horizon or horizon == Horizon()):
            raise ValueError("a horizon without terms needs a deadline")
        deadline = deadline or Deadline.never(clock)
        self._horizon = horizon
        self._clock = clock
        self._end = TrainingEndBeforeWork(deadline, reserve, policy) if reserve else TrainingEnd(deadline)
        self._phase = _Phase.FOLLOWING if deadline_is_horizon else _Phase.FIXED
        self._policy = policy
        self._timer = _Timer(clock, seconds)
        self._updated = clock()
        self._progress = self._last_step = progress
        self.pace = reserve.pace if reserve else Pace(policy)
        """How fast steps are; training records each one."""
        self.left_out = 0.0
        """Share of the decay that was left out when it was called finished."""
        if deadline_is_horizon and seconds:
            self._progress = max(progress, seconds / (seconds + max(0.0, self._end.left_at_best())))
        self._checkups = [share for share in policy.checkups if share > self._progress]

    @property
    def seconds(self) -> float:
        """Training time of the run so far."""
        return self._timer.seconds()

    @property
    def horizon(self) -> Horizon:
        """The horizon as it stands. One that follows the deadline is where the decay would end on a machine as fast as
        it was at best, and always ahead: a later process continues from the same progress."""
        if self._phase is not _Phase.FOLLOWING:
            return self._horizon
        self._follow_deadline()
        ends = [self.seconds + self._end.left_at_best(), self.seconds + self.allowed()]
        if self._progress > 0:
            ends.append(self.seconds / self._progress)
        return Horizon(self._horizon.pairs, max(ends))

    def record_step(self, seconds: float) -> None:
        """Tells how long the last step took."""
        self.pace.record(seconds)

    def poll(self, pairs: int, pause: float = 0.0) -> Decision:
        """Decides whether another step begins now. Measures what follows training where that is due.

        Args:
            pairs: pairs seen.
            pause: seconds that are known to follow the step, such as for a save.
        """
        if self._has_time(pairs, pause):
            return Decision(State.TRAINING, self.progress(pairs))
        if pause > 0 and self._has_time(pairs):
            return Decision(State.FINISHING, self.progress(pairs))
        return Decision(State.STOP, self._progress)

    def progress(self, pairs: int) -> float:
        """Returns the progress of the step that begins now: the share of the horizon that is done after `pairs` pairs,
        from 0 to 1. Never decreases."""
        self._last_step = self.reached(pairs)
        return self._last_step

    def reached(self, pairs: int) -> float:
        """Returns the progress at this moment, for a report or a checkpoint. Never decreases."""
        self._follow_deadline()
        self._progress = max(self._progress, self._share(pairs))
        return self._progress

    def at_horizon(self, pairs: int) -> bool:
        """Returns whether the horizon is reached."""
        return self._share(pairs) >= 1.0

    def allowed(self) -> float:
        """Returns the seconds that this process may still train before it reaches the reserve; infinite without a
        deadline."""
        return self._end.left(self._least_decay_seconds())

    def time_left(self, pairs: int) -> float:
        """Returns the seconds of training still ahead in this process, as far as is known now."""
        share = self._share(pairs)  # a term that the deadline sets is in `allowed`
        by_horizon = self.seconds * (1 - share) / share if share > 0 else math.inf
        return max(0.0, min(by_horizon, self.allowed()))

    def finish_decay(self, pairs: int) -> bool:
        """Ends training and fixes the horizon. A horizon that followed the deadline is set to the training time so far
        where the decay is finished, or so close to its end that no other step would fit.

        Returns:
            True where the learning-rate decay is finished; False where the deadline came first.
        """
        self.reached(pairs)
        self._timer.stop()
        all_pairs = self.at_horizon(pairs)  # however large a share of them the last step was
        if self._unfinished and not all_pairs:
            self._progress = self._last_step  # what no step has used is still ahead
            self._horizon = self.horizon
            logger.warning("no time is left to finish the learning-rate decay: it ends at %s", f"{self._progress:.0%}")
        elif self._phase is _Phase.FOLLOWING:
            self._horizon = Horizon(self._horizon.pairs, self.seconds)
            self.left_out = 0.0 if all_pairs else 1.0 - self._last_step
        self._phase = _Phase.ENDED
        return self.reached(pairs) >= 1.0

    def _has_time(self, pairs: int, pause: float = 0.0) -> bool:
        """Returns whether there is time for one more step and so long a pause. Probes where that is due."""
        if self.at_horizon(pairs):
            return False
        step = self.pace.next_step
        needed = step + pause
        left = self._left_after_probes(needed)
        if self._unfinished and needed < self._end.left_with_slack():
            return left > 0  # the slack may pay for a last step
        return left > (step if needed < self._end.left_at_half_speed() else needed)  # or for the pause

    def _left_after_probes(self, needed: float) -> float:
        """Returns the seconds of training left. Measures what follows before that, at some moments on the way, and
        wherever a step of so many seconds depends on it."""
        if self._checkups and self._progress >= self._checkups[0]:
            self._checkups.pop(0)
            self._probe()
        left = self.allowed()
        if self._end.needs_probe(left, needed):
            self._probe()
            left = self.allowed()
        return left

    def _probe(self) -> None:
        """Measures what follows. Nothing is learned meanwhile, so progress continues from where it is."""
        self._follow_deadline()
        self._end.probe()
        self._updated = self._clock()

    @property
    def _unfinished(self) -> bool:
        """The decay follows the deadline, and the last step was not at its end, nor within three steps of it."""
        policy = self._policy
        steps = policy.finished_steps * self.pace.next_step / self.seconds if self.seconds > 0 else 0.0
        near = min(policy.finished_share_at_most, max(policy.finished_share, steps))
        return self._phase is _Phase.FOLLOWING and 1.0 - self._last_step > near

    def _share(self, pairs: int) -> float:
        """Returns the share of the given terms of the horizon that is done."""
        return self._horizon.progress(pairs, self.seconds, self._policy)

    def _least_decay_seconds(self) -> float:
        """Returns the seconds that the decay needs at least to its end."""
        if self._phase is not _Phase.FOLLOWING:
            return 0.0
        return self._rest() / self._policy.fast_decay - (self._clock() - self._updated)

    def _rest(self) -> float:
        """Returns the seconds that the rest of the decay takes on a machine as fast as it was at best."""
        return (1.0 - self._progress) * (self.seconds + max(0.0, self._end.left_at_best()))

    def _follow_deadline(self) -> None:
        """Brings progress up to date where the deadline sets the horizon.

        With a fixed end this is exactly elapsed / total. Where the end comes nearer, the rest of the way bends to it;
        where it moves away, progress waits until elapsed / total has caught up. It never reaches 1 while training.
        """
        if self._phase is not _Phase.FOLLOWING:
            return
        now = self._clock()
        passed = now - self._updated
        left = max(self.allowed(), self.pace.next_step, self._rest() / self._policy.fastest_decay - passed)
        self._updated = now
        if left > 0:
            bent = self._progress + (1.0 - self._progress) * passed / (left + passed)
            self._progress = max(self._progress, min(bent, self.seconds / (self.seconds + left)))
