"""When the training of a process has to end, so that what follows is done by the deadline."""

from __future__ import annotations

from monet.clock.deadline import Deadline
from monet.clock.policy import DEFAULT_POLICY, Policy
from monet.clock.reserve import Reserve


class TrainingEnd:
    """Tells when training has to end where nothing follows it: at the deadline.

    Args:
        deadline: when the process must be over.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def left(self, decay_seconds: float) -> float:  # noqa: ARG002
        """Returns the seconds of training left; below 0 when they are over.

        Args:
            decay_seconds: what the learning-rate decay needs at least from now on. It is taken from the slack.
        """
        return self._deadline.remaining()

    def left_at_best(self) -> float:
        """Returns the seconds of training left on a machine that stays as fast as it was at best; below 0 when they are
        over."""
        return self._deadline.remaining()

    def left_with_slack(self) -> float:
        """Returns the seconds of training left where all of the slack is used, for a machine down to half its speed."""
        return self._deadline.remaining()

    def left_at_half_speed(self) -> float:
        """Returns the seconds of training left on a machine that falls to half its present speed as painting begins."""
        return self._deadline.remaining()

    def needs_probe(self, left: float, needed: float) -> bool:  # noqa: ARG002
        """Returns whether to measure before the next step. Training ends by no old measurement, nor by the pace alone.

        Args:
            left: seconds of training left.
            needed: seconds that the next step takes.
        """
        return False

    def probe(self) -> None:
        """Measures what follows."""


class TrainingEndBeforeWork(TrainingEnd):
    """Tells when training has to end where work follows it: when the reserve is reached.

    Where the machine is slower than it was at best, the reserve is larger, and nobody knows for how long. A slow minute
    must not cost the learning: it takes at most an eighth of the training time, however slow the machine is, and more
    only as far as half speed needs it.

    Args:
        deadline: when the process must be over.
        reserve: what must be left of it.
        policy: how much of the training time is kept, and when a probe is believed.
    """

    def __init__(self, deadline: Deadline, reserve: Reserve, policy: Policy = DEFAULT_POLICY) -> None:
        super().__init__(deadline)
        self._clock = deadline.clock
        self._reserve = reserve
        self._policy = policy
        self._began = self._probed = self._steady_since = self._clock()
        self._probe_took = 0.0
        self._time = deadline.remaining()

    def left(self, decay_seconds: float) -> float:
        """As `TrainingEnd.left`."""
        after_slowdown = min(max(self._kept(), decay_seconds), self.left_with_slack())
        left = max(self._deadline.remaining() - self._reserve.seconds(), after_slowdown)
        return max(left, self._left_in_doubt()) if self._doubted else left

    def left_at_best(self) -> float:
        """As `TrainingEnd.left_at_best`."""
        return self._deadline.remaining() - self._reserve.seconds_at_best()

    def left_with_slack(self) -> float:
        """As `TrainingEnd.left_with_slack`."""
        return self._until_late(min(self._reserve.work, self._tolerated_work))

    def left_at_half_speed(self) -> float:
        """As `TrainingEnd.left_at_half_speed`."""
        needed = self._policy.half_speed_work * self._reserve.work + self._policy.half_speed_seconds
        return self._deadline.remaining() - needed

    def needs_probe(self, left: float, needed: float) -> bool:
        """As `TrainingEnd.needs_probe`."""
        policy, reserve, took = self._policy, self._reserve, self._probe_took
        age, interval = self._clock() - self._probed, policy.probe_interval * (1 + took)
        if self._doubted and (
            age > policy.probe_interval + policy.probe_interval_doubted * took or self._passed >= self._early
        ):
            return True
        if left <= needed + policy.probes_before_end * took:
            return age > interval or reserve.work > policy.notable_slowdown * reserve.measured
        slower = reserve.work > policy.notable_slowdown * reserve.work_at_best
        return slower and age > max(interval, policy.probe_interval_share * left)

    def probe(self) -> None:
        """As `TrainingEnd.probe`."""
        begun = self._clock()
        self._reserve.measure_again()
        self._probed = self._clock()
        self._probe_took = self._probed - begun
        if not self._reserve.steady:
            self._steady_since = self._probed

    def _kept(self) -> float:
        """Returns the seconds of training left that a slow-down does not take."""
        total = self._passed + self.left_at_best()
        left = self._policy.kept_share * total - self._passed
        in_time = left <= self._until_late(self._reserve.work)
        return left if in_time else self._policy.kept_share_if_late * total - self._passed

    def _left_in_doubt(self) -> float:
        """Returns the seconds of training left at least where the last probe is doubted."""
        left = self._policy.doubted_share * self._time - self._passed
        tolerated = self._tolerated_work
        if self._reserve.work <= tolerated and self._passed + self._until_late(tolerated) > 0:
            return min(left, self.left_with_slack())  # half speed is borne wherever the budget has room for it
        return left

    def _until_late(self, work: float) -> float:
        """Returns the seconds after which so much work makes the process late."""
        return self._deadline.remaining() - self._policy.late_work * work - self._policy.late_seconds

    @property
    def _passed(self) -> float:
        """Seconds since training began."""
        return self._clock() - self._began

    @property
    def _early(self) -> float:
        """Seconds of the beginning, in which a probe may be doubted."""
        return self._policy.early_share * self._time

    @property
    def _tolerated_work(self) -> float:
        """Seconds that the work after training takes on the slowest machine that is still to be in time."""
        return self._policy.tolerated_slowdown * self._reserve.work_at_best

    @property
    def _doubted(self) -> bool:
        """No probe is younger than the beginning, or has found the same for long, and the last one found very much."""
        if self._probed >= self._began + self._early:
            return False
        if self._probed - self._steady_since >= self._policy.steady_seconds:
            return False
        return self._reserve.work > self._policy.doubtful_work * self._deadline.budget
