"""The training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from monet.clock import Clock, Decision, State, Timekeeper
from monet.data.batches import PairSource
from monet.device import Precision
from monet.training.checkpoints import Checkpoints, Saving
from monet.training.events import EpochEvent, Listeners
from monet.training.execution import Execution
from monet.training.reporting import PendingStep, StepReports
from monet.training.rollback import MAX_INCIDENTS, NotFiniteTooOften, roll_back
from monet.training.schedule import learning_rate, set_learning_rate
from monet.training.state import memory_format
from monet.training.step import train_step

_AS_GOOD_AS_0 = 0.005
"""Share of the first learning rate that rounds to 0 %."""


@dataclass(frozen=True)
class Outcome:
    """How training ended."""

    pairs: int
    """Pairs seen over the whole run."""
    seconds: float
    """Training time of the whole run."""
    decay_finished: bool
    """The learning-rate decay is finished."""
    interrupted: bool
    """A signal ended it before the horizon or the deadline."""
    saved: bool = True
    """The last checkpoint holds all of it."""
    last_rate: float = 0.0
    """The learning rate at the end, as a share of that at the beginning."""
    rate_ends_at_0: bool = True
    """The run's settings have the learning rate decay to 0."""

    @property
    def decay(self) -> str:
        """How the learning-rate decay ended, in a few words."""
        if not self.rate_ends_at_0:
            return "to its planned end" if self.decay_finished else "not yet at its end: --resume continues it"
        if not self.decay_finished:
            return "decay unfinished: --resume continues it"
        rate = f"{self.last_rate:.0%} of its start" if self.last_rate > _AS_GOOD_AS_0 else "0"
        return f"learning rate decayed to {rate}"


@dataclass(frozen=True)
class _Plan:
    """The first process's decision before a step."""

    decision: Decision
    """The timekeeper's."""
    stop_requested: bool
    """Some process was asked to stop."""

    @property
    def at_end(self) -> bool:
        """The horizon or the deadline is reached."""
        return self.decision.state is State.STOP

    @property
    def continues(self) -> bool:
        """Another step begins."""
        return not (self.at_end or self.stop_requested)

    @property
    def hurried(self) -> bool:
        """There is time for the step, but not for anything optional after it."""
        return self.decision.state is State.FINISHING


class Trainer:
    """Trains a run from where it stands to its horizon, or to the deadline.

    Args:
        execution: the state that is trained, and how this machine computes its steps. Where several processes train
            together, each has the whole state and takes the same steps; the first one decides what depends on time,
            and writes checkpoints.
        source: batches.
        timekeeper: progress, and when to stop.
        saving: where and how often checkpoints are written.
        clock: tells the time.
        listeners: functions to call.
        stop_requested: asked before each step; True ends training with a save.
    """

    def __init__(
        self,
        execution: Execution,
        source: PairSource,
        timekeeper: Timekeeper,
        saving: Saving,
        *,
        clock: Clock,
        listeners: Listeners | None = None,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        self.execution = execution
        self.state = execution.state
        self._training = execution.config.training
        self._group = execution.group
        self._source = source
        self._timekeeper = timekeeper
        self._clock = clock
        self._listeners = listeners or Listeners()
        self._stop_requested = stop_requested
        self._reports = StepReports(execution, timekeeper, clock, self._listeners)
        self._checkpoints = Checkpoints(saving, execution, timekeeper, clock, self._listeners)
        self._batch_size = self._training.batch_size * self._group.world_size
        self._epoch_end_seconds = 0.0

    def run(self) -> Outcome:
        """Trains.

        Raises:
            NotFiniteTooOften: the loss was NaN or infinite in too many steps.
            OutOfMemory: a step has not enough memory.
            MonetError: a checkpoint cannot be written.
        """
        epoch = self._epochs()
        try:
            if self.state.counters.pairs - epoch * self._source.stream.samples_per_epoch < self._batch_size:
                self._checkpoints.keep(epoch)  # the process before may have been killed between a save and its copy
            while (plan := self._agree_on_plan()).continues:
                begun = self._clock()
                self.take_step(plan.decision.progress)
                save = self.report_if_due() and not plan.hurried
                self._timekeeper.record_step(self._clock() - begun)
                if self._epochs() > epoch:
                    self.report()  # a rollback may take back the pairs that ended the epoch
                if self._epochs() > epoch:
                    epoch = self._epochs()
                    kept = self._end_epoch(epoch, plan.hurried)
                    save = save and not kept
                if save:
                    self.save()
            return self._finish(plan)
        except Exception:
            self._checkpoints.save_before_failing(self.report)
            raise

    def take_step(self, progress: float | None = None) -> Tensor:
        """Takes the next step, whatever the time; the device may still be computing when this returns.

        Args:
            progress: of the run, 0…1, which the learning rate follows; the timekeeper's by default.

        Returns:
            The losses, in the order of `loss_names`.
        """
        counters, training = self.state.counters, self._training
        progress = self._timekeeper.progress(counters.pairs) if progress is None else progress
        pairs = range(counters.pairs, counters.pairs + self._batch_size)
        rate = learning_rate(training, progress)
        set_learning_rate(self.state.optimizers.values(), rate)
        layout = memory_format(self.execution.device)
        real_a, real_b = (x.contiguous(memory_format=layout) for x in self._source.batch(self._group.shard(pairs)))
        precision: Precision = "fp32" if pairs.start < counters.fp32_until else self.execution.precision
        losses = train_step(self.execution, real_a, real_b, pairs, precision)
        counters.pairs, counters.step = pairs.stop, counters.step + 1
        self._reports.add(PendingStep(pairs, progress, rate, self._timekeeper.seconds, losses))
        return losses

    def report_if_due(self) -> bool:
        """Reports the steps taken, at each on a CPU, else about every second. Returns whether it is time to save."""
        report, save = self._group.broadcast_object(lambda: (self._reports.due(), self._checkpoints.due()))
        if report:
            self.report()
        return save

    def report(self) -> None:
        """Waits for the device, reports the steps it took, and rolls back one that was not finite.

        Raises:
            NotFiniteTooOften: it is the run's third one.
        """
        if (bad := self._reports.report()) is None:
            return
        self._listeners.on_incident(roll_back(self.execution, bad, self._source.stream.samples_per_epoch))
        if (times := len(self.state.incidents)) >= MAX_INCIDENTS:
            self.save()
            self._group.barrier()
            raise NotFiniteTooOften(
                f"the loss was not finite {times} times, last at pair {bad.pairs.start}: gave up; "
                f"{self._checkpoints.last} holds the last good state; start again with a lower "
                "--training.learning_rate or --training.precision fp32"
            )

    def save(self) -> bool:
        """Reports the steps taken, and writes `last.pt`. Returns whether it is written; a listener may do without."""
        self.report()
        return self._checkpoints.save()

    def _agree_on_plan(self) -> _Plan:
        """Has the first process decide, for all, whether there is another step, and at which progress."""
        stop_requested = self._group.any_rank(self._stop_requested())
        pairs = self.state.counters.pairs

        def decide() -> _Plan:
            keeper = self._timekeeper
            if not stop_requested:
                return _Plan(keeper.poll(pairs, self._pause()), stop_requested)
            state = State.STOP if keeper.at_horizon(pairs) else State.TRAINING
            return _Plan(Decision(state, keeper.reached(pairs)), stop_requested)

        return self._group.broadcast_object(decide)

    def _pause(self) -> float:
        """Returns the seconds that will follow the next step: for the end of an epoch, if it ends one, and for a save,
        if due."""
        crosses = self._epochs(self._batch_size) > self._epochs()
        return self._epoch_end_seconds * crosses + self._checkpoints.save_seconds * self._checkpoints.due()

    def _end_epoch(self, epoch: int, hurried: bool) -> bool:
        """Tells the listeners, if there is time, and keeps the epoch's checkpoint. Returns whether one was due."""
        begun = self._clock()
        if not hurried:
            self._listeners.on_epoch(EpochEvent(epoch, self.state.counters.pairs, self.state.painting_networks()))
        keeps = self._checkpoints.keeps(epoch)
        if keeps and self.save():
            self._checkpoints.keep(epoch)
        self._epoch_end_seconds = self._clock() - begun
        return keeps

    def _finish(self, plan: _Plan) -> Outcome:
        """Saves the state after the last step, and says how training ended."""
        self.report()
        counters = self.state.counters
        decay_finished = plan.at_end and self._group.broadcast_object(
            lambda: self._timekeeper.finish_decay(counters.pairs)
        )
        training = self._training
        last_rate = learning_rate(training, 1.0 - self._timekeeper.left_out) / learning_rate(training, 0.0)
        saved = self.save()
        self._group.barrier()  # no process leaves, which would end the others, before the first one has saved
        return Outcome(
            counters.pairs,
            counters.seconds,
            decay_finished,
            interrupted=not plan.at_end,
            saved=saved,
            last_rate=last_rate,
            rate_ends_at_0=training.rate_ends_at_0,
        )

    def _epochs(self, ahead: int = 0) -> int:
        return (self.state.counters.pairs + ahead) // self._source.stream.samples_per_epoch
