"""The loop around the paper's step: schedule, precision, checks, checkpoints."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from monet import checkpoint
from monet.clock import Clock, State, Timekeeper
from monet.config import Config
from monet.data.batches import PairSource
from monet.device import Precision
from monet.distributed import Group
from monet.errors import MonetError, shortened
from monet.training.events import CheckpointEvent, EpochEvent, Incident, Listeners, StepEvent
from monet.training.state import TrainingState, memory_format, new_scaler
from monet.training.updater import Updater, loss_names

logger = logging.getLogger(__name__)

MAX_INCIDENTS = 3
"""A run gives up at this many steps whose loss was not finite."""


def learning_rate(base: float, progress: float, decay_start: float) -> float:
    """Constant until `decay_start`, then linear to 0 at progress 1."""
    return base * min(1.0, max(0.0, (1.0 - progress) / (1.0 - decay_start)))


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
    """It was told to end before that."""
    saved: bool = True
    """The last checkpoint holds all of it."""
    last_rate: float = 0.0
    """The learning rate at the end, as a share of that at the beginning."""

    @property
    def decay(self) -> str:
        """What became of the learning-rate decay, in a few words."""
        if not self.decay_finished:
            return "decay unfinished: --resume goes on"
        return f"learning rate decayed to {f'{self.last_rate:.0%} of its start' if self.last_rate > 0.005 else '0'}"


@dataclass(frozen=True)
class _Plan:
    """What the first process decided before a step."""

    stopped: bool
    """The horizon or the deadline is reached."""
    told: bool
    """Some process was told to end."""
    progress: float
    hurried: bool
    """There is time for the step, but not for what a run can do without: a sample grid, or a save before the last."""

    @property
    def goes_on(self) -> bool:
        return not (self.stopped or self.told)


@dataclass(frozen=True)
class _Taken:
    """A step that the device may still be working on."""

    pairs: range
    progress: float
    learning_rate: float
    seconds: float
    losses: Tensor


class Trainer:
    """Trains a run from where it stands to its horizon, or to the deadline.

    Args:
        config: the settings.
        state: what is trained; changed in place.
        source: batches.
        timekeeper: progress, and when to stop.
        device: where the networks are.
        precision: of the convolutions.
        clock: tells the time.
        checkpoints: folder for `last.pt` and the named checkpoints.
        facts: further contents of every checkpoint.
        save_interval: seconds between saves of `last.pt`.
        listeners: functions to call.
        stop_requested: asked after each step; True ends training with a save.
        updater: takes the steps, with compiled networks perhaps; one of the state's own by default.
        group: the processes that train together. Each has the whole state, and goes through the same steps; the first
            one decides what depends on time, and writes checkpoints.
    """

    def __init__(
        self,
        config: Config,
        state: TrainingState,
        source: PairSource,
        timekeeper: Timekeeper,
        *,
        device: torch.device,
        precision: Precision,
        clock: Clock,
        checkpoints: Path,
        facts: dict[str, Any],
        save_interval: float = 600.0,
        listeners: Listeners | None = None,
        stop_requested: Callable[[], bool] = lambda: False,
        updater: Updater | None = None,
        group: Group | None = None,
    ) -> None:
        self.state = state
        self._config = config
        self._source = source
        self._timekeeper = timekeeper
        self._device = device
        self._precision = precision
        self._clock = clock
        self._checkpoints = checkpoints
        self._facts = facts
        self._save_interval = save_interval
        self._group = group or Group()
        self._listeners = listeners or Listeners()
        self._stop_requested = stop_requested
        self._updater = updater or Updater(config, state, device, self._group)
        self._batch_size = config.training.batch_size * self._group.world_size
        self._taken: list[_Taken] = []
        self._speeds: deque[tuple[int, float]] = deque(maxlen=20)
        self._synced = self._saved = clock()
        self._saved_pairs = state.counters.pairs
        self._epoch_end_takes = self._save_takes = 0.0

    def run(self) -> Outcome:
        """Trains.

        Raises:
            MonetError: the loss was not finite too often, or a checkpoint cannot be written.
        """
        try:
            return self._run()
        except Exception:
            self._save_before_failing()
            raise

    def _run(self) -> Outcome:
        counters = self.state.counters
        epoch = self._epochs()
        if counters.pairs - epoch * self._source.stream.samples_per_epoch < self._batch_size:
            self._keep(epoch)  # the process before may have been killed between a save and its copy
        while (plan := self._agree_on_plan()).goes_on:
            start = self._clock()
            self._step(plan.progress)
            save = self._after_step() and not plan.hurried
            self._timekeeper.pace.record(self._clock() - start)
            if self._epochs() > epoch:
                self._sync()
                if self._epochs() > epoch:
                    epoch = self._epochs()
                    begun = self._clock()
                    save = not self._end_epoch(epoch, plan.hurried) and save
                    self._epoch_end_takes = self._clock() - begun
            if save:
                self.save()
        self._sync()
        decay_finished = plan.stopped and self._group.broadcast_object(
            lambda: self._timekeeper.finish_decay(counters.pairs)
        )
        rate = learning_rate(1.0, 1.0 - self._timekeeper.left_out, self._config.training.decay_start)
        saved = self.save()
        self._group.barrier()  # no process leaves, which would end the others, before the first one has saved
        return Outcome(
            counters.pairs, counters.seconds, decay_finished, interrupted=not plan.stopped, saved=saved, last_rate=rate
        )

    def take_step(self) -> None:
        """Takes the next step, whatever the time, and reports those that are done; an accelerator may still be working
        on it."""
        self._step(self._timekeeper.progress(self.state.counters.pairs))
        self._after_step()

    def save(self) -> bool:
        """Writes `last.pt`. Returns whether it is written; a listener may go on without."""
        self._sync()
        if self._group.rank:
            return True
        begun = self._clock()
        saved = self._written(self._save_last)
        self._saved = self._clock()
        self._save_takes = self._saved - begun
        return saved

    def _save_before_failing(self) -> None:
        """Saves what was trained when an error ends it: the last state after a whole step."""
        counters = self.state.counters
        if self._group.rank or not self._updater.between_steps or counters.pairs == self._saved_pairs:
            return
        try:
            self._sync()
            self._save_last()
        except Exception as error:  # the device may be gone, or the disk be full: what ends the training counts more
            logger.warning("what was trained since the last save is lost: %s", shortened(str(error), 200))
        else:
            logger.info("saved all %s pairs in %s", f"{counters.pairs:,}", self._checkpoints / checkpoint.LAST)

    def _save_last(self) -> None:
        counters = self.state.counters
        counters.seconds, counters.progress = self._timekeeper.seconds, self._timekeeper.reached(counters.pairs)
        horizon = self._timekeeper.horizon
        contents = {**self.state.state_dict(), "horizon": asdict(horizon), **self._facts}
        contents["compiled"] = self._updater.compiled
        self._listeners.before_save()
        self._saved_pairs = counters.pairs
        checkpoint.save(self._checkpoints / checkpoint.LAST, contents)

    def _written(self, write: Callable[[], None]) -> bool:
        """Writes a checkpoint, and tells the world where that fails."""
        try:
            write()
        except Exception as error:  # no room on the disk, or in memory
            self._listeners.on_unsaved(error)
            return False
        return True

    def _agree_on_plan(self) -> _Plan:
        """What the next step is to be, decided by the first process, or that there is none."""
        told = self._group.any_rank(self._stop_requested())
        pairs = self.state.counters.pairs

        def decide() -> _Plan:
            keeper = self._timekeeper
            if told:
                return _Plan(keeper.at_horizon(pairs), told, keeper.reached(pairs), hurried=False)
            decision = keeper.poll(pairs, self._pause())
            return _Plan(decision.state is State.STOP, told, decision.progress, decision.state is State.FINISHING)

        return self._group.broadcast_object(decide)

    def _pause(self) -> float:
        """Seconds that will follow the next step: for the end of an epoch, if it ends one, and for a save, if due."""
        crosses = self._epochs(self._batch_size) > self._epochs()
        due = self._due(self._saved, self._save_interval)
        return self._epoch_end_takes * crosses + self._save_takes * due

    def _step(self, progress: float) -> None:
        """Takes the next step; the device may still be working on it when this returns."""
        counters, training = self.state.counters, self._config.training
        pairs = range(counters.pairs, counters.pairs + self._batch_size)
        rate = learning_rate(training.learning_rate, progress, training.decay_start)
        for optimizer in self.state.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
        real_a, real_b = self._source.batch(self._group.shard(pairs))
        real_a, real_b = (x.contiguous(memory_format=memory_format(self._device)) for x in (real_a, real_b))
        precision: Precision = "fp32" if pairs.start < counters.fp32_until else self._precision
        losses = self._updater.update(real_a, real_b, pairs, precision)
        counters.pairs, counters.step = pairs.stop, counters.step + 1
        self._speeds.append((pairs.stop, self._clock()))
        self._taken.append(_Taken(pairs, progress, rate, self._timekeeper.seconds, losses))

    def _after_step(self) -> bool:
        """Looks at the steps taken, at each on a CPU, else about every second. Returns whether it is time to save."""
        look, save = self._group.broadcast_object(
            lambda: (
                self._device.type == "cpu" or self._due(self._synced, 1.0),
                self._due(self._saved, self._save_interval),
            )
        )
        if look:
            self._sync()
        return save

    def _sync(self) -> None:
        """Waits for the device, reports the steps it took, and deals with a loss that was not finite."""
        taken, self._taken = self._taken, []
        self._synced = self._clock()
        if not taken:
            return
        good = self._updater.guard.read()
        names = loss_names(self._config.training.lambda_identity > 0)
        values = torch.stack([step.losses for step in taken]).tolist()
        first = self.state.counters.step - len(taken) + 1
        for number, (step, losses) in enumerate(list(zip(taken, values, strict=True))[:good]):
            self._listeners.on_step(
                StepEvent(
                    first + number,
                    step.pairs.stop,
                    step.progress,
                    step.learning_rate,
                    dict(zip(names, losses, strict=True)),
                    step.seconds,
                    self._speed(),
                    self._timekeeper.time_left(self.state.counters.pairs),
                )
            )
        if good is not None:
            self._rollback(taken[good].pairs, first + good, dict(zip(names, values[good], strict=True)))

    def _rollback(self, bad: range, step: int, losses: dict[str, float]) -> None:
        """The device kept the state from before the bad step: goes on behind its pairs, in fp32 for an epoch."""
        counters = self.state.counters
        counters.pairs, counters.step = bad.stop, step - 1
        counters.skipped += len(bad)
        counters.fp32_until = bad.stop + self._source.stream.samples_per_epoch
        self.state.scaler = new_scaler(self._device, self._precision)
        incident = Incident(bad.stop, len(bad), counters.fp32_until)
        self.state.incidents.append(incident)
        described = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        times = len(self.state.incidents)
        logger.log(
            logging.DEBUG if self._group.rank else logging.WARNING,
            "the loss is not finite at pairs %d to %d (%s): not stepped on; these pairs are skipped and the next epoch "
            "is trained in fp32 (%d of at most %d times)",
            bad.start,
            bad.stop - 1,
            described,
            times,
            MAX_INCIDENTS,
        )
        self._listeners.on_incident(incident)
        if times >= MAX_INCIDENTS:
            self.save()
            self._group.barrier()
            where = self._checkpoints / checkpoint.LAST
            raise MonetError(
                f"the loss was not finite {times} times, last at pair {bad.start}: gave up; {where} holds the last "
                "good state; start again with a lower --training.learning_rate or --training.precision fp32"
            )

    def _end_epoch(self, epoch: int, hurried: bool) -> bool:
        """Tells the world, if there is time, and keeps a checkpoint if it is time for one. Returns whether it was."""
        if not hurried:
            self._listeners.on_epoch(EpochEvent(epoch, self.state.counters.pairs, self.state.painting_networks()))
        every = self._config.training.save_every
        keeps = every > 0 and epoch % every == 0
        if keeps and self.save():
            self._keep(epoch)
        return keeps

    def _keep(self, epoch: int) -> None:
        """Keeps `last.pt` under an epoch's name, if that epoch is one to keep and is not kept yet."""
        if self._group.rank:
            return
        every, last = self._config.training.save_every, self._checkpoints / checkpoint.LAST
        name = checkpoint.epoch_name(epoch)
        wanted = every and epoch and epoch % every == 0 and last.exists() and not last.with_name(name).exists()
        if wanted and self._written(lambda: checkpoint.keep_as(last, name)):
            self._listeners.on_checkpoint(CheckpointEvent(self.state.counters.pairs, last.with_name(name)))

    def _epochs(self, ahead: int = 0) -> int:
        return (self.state.counters.pairs + ahead) // self._source.stream.samples_per_epoch

    def _due(self, last: float, interval: float) -> bool:
        return self._clock() - last >= interval

    def _speed(self) -> float:
        """Pairs a second over the last steps; 0 while unknown."""
        (first_pairs, first_time), (last_pairs, last_time) = self._speeds[0], self._speeds[-1]
        return (last_pairs - first_pairs) / (last_time - first_time) if last_time > first_time else 0.0
