"""The loop around the paper's step: schedule, precision, checks, checkpoints."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monet import checkpoint
from monet.clock import Clock, Timekeeper
from monet.config import Config
from monet.data.batches import PairSource
from monet.device import Precision, autocast
from monet.errors import MonetError
from monet.models import Networks
from monet.training.events import EpochEvent, Incident, Listeners, StepEvent
from monet.training.guard import Guard
from monet.training.state import TrainingState, memory_format, new_scaler
from monet.training.step import discriminator_losses, generator_pass

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
    landed: bool
    """The learning-rate decay is finished."""
    interrupted: bool
    """It was told to end before that."""


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
        told_to_end: asked after each step; True ends training with a save.
        networks: compiled ones that share their weights with the state's; the state's own by default.
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
        told_to_end: Callable[[], bool] = lambda: False,
        networks: Networks | None = None,
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
        self._listeners = listeners or Listeners()
        self._told_to_end = told_to_end
        self._networks = networks or state.networks
        self._guard = Guard(device, list(state.networks.named().values()))
        self._taken: list[_Taken] = []
        self._speeds: deque[tuple[int, float]] = deque(maxlen=20)
        self._looked = self._saved = clock()
        self._epoch_end_takes = self._save_takes = 0.0

    def run(self) -> Outcome:
        """Trains.

        Raises:
            MonetError: the loss was not finite too often, or a checkpoint cannot be written.
        """
        counters = self.state.counters
        epoch = self._epochs()
        if counters.pairs - epoch * self._source.stream.samples_per_epoch < self._config.training.batch_size:
            self._keep(epoch)  # the process before may have been killed between a save and its copy
        while not (stopped := self._timekeeper.should_stop(counters.pairs, self._pause())) and not self._told_to_end():
            start = self._clock()
            self.take_step()
            self._timekeeper.pace.record(self._clock() - start)
            if self._epochs() > epoch:
                self._look()
                if self._epochs() > epoch:
                    epoch = self._epochs()
                    begun = self._clock()
                    self._end_epoch(epoch)
                    self._epoch_end_takes = self._clock() - begun
            if self._due(self._saved, self._save_interval):
                self.save()
        self._look()
        landed = stopped and self._timekeeper.land(counters.pairs)
        self.save()
        return Outcome(counters.pairs, counters.seconds, landed, interrupted=not stopped)

    def take_step(self) -> None:
        """Takes the next step, and reports those that are done; an accelerator may still be working on it."""
        self._step()
        if self._device.type == "cpu" or self._due(self._looked, 1.0):
            self._look()

    def save(self) -> None:
        """Writes `last.pt`."""
        self._look()
        begun = self._clock()
        counters, horizon = self.state.counters, self._timekeeper.horizon
        counters.seconds, counters.progress = self._timekeeper.seconds, self._timekeeper.progress(counters.pairs)
        contents = {**self.state.state_dict(), "horizon": asdict(horizon), **self._facts}
        checkpoint.save(self._checkpoints / checkpoint.LAST, contents)
        self._saved = self._clock()
        self._save_takes = self._saved - begun

    def _pause(self) -> float:
        """Seconds that will follow the next step: for the end of an epoch, if it ends one, and for a save, if due."""
        crosses = self._epochs(self._config.training.batch_size) > self._epochs()
        due = self._due(self._saved, self._save_interval)
        return self._epoch_end_takes * crosses + self._save_takes * due

    def _step(self) -> None:
        """Takes the next step; the device may still be working on it when this returns."""
        counters, training = self.state.counters, self._config.training
        pairs = range(counters.pairs, counters.pairs + training.batch_size)
        progress = self._timekeeper.progress(counters.pairs)
        rate = learning_rate(training.learning_rate, progress, training.decay_start)
        for optimizer in self.state.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
        losses = self._update(pairs)
        counters.pairs, counters.step = pairs.stop, counters.step + 1
        self._speeds.append((pairs.stop, self._clock()))
        self._taken.append(_Taken(pairs, progress, rate, self._timekeeper.seconds, losses))

    def _update(self, pairs: range) -> Tensor:
        """Gradients of all four networks, then both optimizers. Returns the losses in the order of `_loss_names`."""
        state, training, networks = self.state, self._config.training, self._networks
        precision: Precision = "fp32" if pairs.start < state.counters.fp32_until else self._precision
        scaled = precision == "fp16"
        real_a, real_b = self._source.batch(pairs)
        real_a, real_b = (x.contiguous(memory_format=memory_format(self._device)) for x in (real_a, real_b))
        self._guard.begin_step()

        with autocast(self._device, precision):
            made = generator_pass(
                networks,
                real_a,
                real_b,
                lambda_cycle=training.lambda_cycle,
                lambda_identity=training.lambda_identity,
            )
        self._backward(made.total, state.networks.generators(), scaled)

        keep = self._guard.good & torch.isfinite(made.total.detach())
        seen = pairs.start - state.counters.skipped
        shown_a = state.pools["a"].exchange(made.fake_a, pairs, seen, keep)
        shown_b = state.pools["b"].exchange(made.fake_b, pairs, seen, keep)
        with autocast(self._device, precision):
            judged = discriminator_losses(networks, real_a, real_b, shown_a, shown_b)
        self._backward(torch.stack(list(judged.values())).sum(), state.networks.discriminators(), scaled)

        losses = [made.total, *made.losses.values(), *judged.values()]
        # Gradients that overflow in fp16 are the scaler's business; elsewhere they are as bad as a bad loss.
        self._guard.judge(losses, [] if scaled else state.networks.generators() + state.networks.discriminators())
        self._optimize(scaled)
        if state.ema:
            state.ema.update(pairs.start, len(pairs), self._guard.good)
        return torch.stack([loss.detach().float() for loss in losses])

    def _backward(self, loss: Tensor, parameters: list[nn.Parameter], scaled: bool) -> None:
        loss = self._guard.poison(loss)
        (self.state.scaler.scale(loss) if scaled else loss).backward(inputs=parameters)  # type: ignore[no-untyped-call]

    def _optimize(self, scaled: bool) -> None:
        for optimizer in self.state.optimizers.values():
            if scaled:
                self.state.scaler.step(optimizer)
            elif optimizer.defaults["fused"]:
                optimizer.found_inf = self._guard.found_inf  # type: ignore[attr-defined]
                optimizer.step()
            elif self._guard.good:  # asks the device: only where it has no fused optimizer
                optimizer.step()
            optimizer.zero_grad()
        if scaled:
            self.state.scaler.update()

    def _look(self) -> None:
        """Waits for the device, reports the steps it took, and deals with a loss that was not finite."""
        taken, self._taken = self._taken, []
        self._looked = self._clock()
        if not taken:
            return
        good = self._guard.read()
        names = ["generator", *_loss_names(self._config.training.lambda_identity > 0)]
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
            self._go_back(taken[good].pairs, first + good, dict(zip(names, values[good], strict=True)))

    def _go_back(self, bad: range, step: int, losses: dict[str, float]) -> None:
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
        logger.warning(
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
            where = self._checkpoints / checkpoint.LAST
            raise MonetError(
                f"the loss was not finite {times} times, last at pair {bad.start}: gave up; {where} holds the last "
                "good state; start again with a lower --training.learning_rate or --training.precision fp32"
            )

    def _end_epoch(self, epoch: int) -> None:
        event = EpochEvent(epoch, self.state.counters.pairs, self.state.painting_networks())
        self._listeners.on_epoch(event)
        every = self._config.training.save_every
        if every and epoch % every == 0:
            self.save()
            self._keep(epoch)

    def _keep(self, epoch: int) -> None:
        """Keeps `last.pt` under an epoch's name, if that epoch is one to keep and is not kept yet."""
        every, last = self._config.training.save_every, self._checkpoints / checkpoint.LAST
        name = checkpoint.epoch_name(epoch)
        if every and epoch and epoch % every == 0 and last.exists() and not last.with_name(name).exists():
            checkpoint.keep_as(last, name)

    def _epochs(self, ahead: int = 0) -> int:
        return (self.state.counters.pairs + ahead) // self._source.stream.samples_per_epoch

    def _due(self, last: float, interval: float) -> bool:
        return self._clock() - last >= interval

    def _speed(self) -> float:
        """Pairs a second over the last steps; 0 while unknown."""
        (first_pairs, first_time), (last_pairs, last_time) = self._speeds[0], self._speeds[-1]
        return (last_pairs - first_pairs) / (last_time - first_time) if last_time > first_time else 0.0


def _loss_names(identity: bool) -> list[str]:
    names = ["adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b"]
    return [*names, *(["identity_a", "identity_b"] if identity else []), "discriminator_a", "discriminator_b"]
