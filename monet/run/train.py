"""Training with everything around it: data, deadline, run folder, samples, curves."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monet.clock import Horizon, Reserve, Timekeeper, format_duration
from monet.config import to_dict
from monet.data.batches import PairSource
from monet.data.store import BadImage, ImageStore, load_images, paintable, summary_of_bad
from monet.device import (
    Precision,
    describe_machine,
    suitable_precision,
)
from monet.errors import InputError, Interrupted
from monet.generation.painter import Painter, make_painter, seconds_per_photo, unreadable
from monet.machine import available_memory
from monet.models import generator_from_checkpoint
from monet.reporting.curves import save_curves
from monet.run.agreement import (
    require_same_data,
    require_same_images,
    shared_device,
    shared_precision,
    stored_workers,
)
from monet.run.compilation import compile_if_worth_it
from monet.run.resume import Job
from monet.run.samples import SampleGrids, readable
from monet.run_folder.checkpoints import Candidate
from monet.run_folder.folder import RunFolder
from monet.run_folder.report import training_steps
from monet.side_products import described, side_product
from monet.training.checkpoints import SAVE_INTERVAL, Saving
from monet.training.events import CheckpointEvent, EpochEvent, Incident, Listeners, StepEvent
from monet.training.execution import Execution
from monet.training.state import TrainingState, run_facts
from monet.training.stored import load_checkpoint
from monet.training.trainer import Outcome, Trainer
from monet.training.workers import choose_workers, shared_steps

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Result of the training: everything that painting needs."""

    outcome: Outcome
    painter: Painter
    precision: Precision
    """In which it paints."""
    photos: tuple[Path, ...]
    """The photos to paint, all of them readable."""
    skipped: tuple[BadImage, ...]
    """Photos that are left out of the archive."""


def train(job: Job) -> Trained:
    """Trains a run to its horizon, or to the deadline.

    Raises:
        InputError: neither epochs nor horizon nor budget is given, the budget cannot hold what follows training, images
            to be painted cannot be read, or the checkpoint does not fit.
        MonetError: the loss was not finite too often, or the disk is full.
        Interrupted: told to end; the run is saved.
    """
    config, group = job.config, job.group
    _require_an_end(job)
    device = shared_device(job)
    precision = shared_precision(job, device)
    state = TrainingState.create(config, device, precision)
    if job.checkpoint:
        state.load_state_dict(job.checkpoint, device)
    reserve = _reserve(job, state, device, precision)

    photos, paintings, to_paint, skipped = _read(job)
    if not job.checkpoint:
        group.broadcast_object(lambda: _require_time(job, reserve))
    source = PairSource(photos, paintings, config.data, seed=config.training.seed, device=device)
    execution = Execution(config, state, device, precision, group)
    workers = _workers(job, execution)
    facts = run_facts(config, precision, len(photos), len(paintings), workers=workers, device=device.type)
    if job.checkpoint:
        require_same_data(job, job.checkpoint["data"], facts["data"])
    require_same_images(job, photos.paths, paintings.paths, to_paint)
    machine = describe_machine(device) | job.environment
    machine |= {"precision": precision, "workers": workers, "world_size": group.world_size}
    if group.rank == 0:
        if job.checkpoint:
            job.folder.set_aside(state.counters.pairs // source.stream.samples_per_epoch)
        job.folder.begin(config, machine, state.counters.pairs)
        job.tracking.begin(job.folder.path, to_dict(config), machine, state.counters.pairs)

    with shared_steps(execution, workers):
        compile_if_worth_it(job, execution, reserve)
        timekeeper = _timekeeper(job, state, reserve, source.stream.samples_per_epoch)
        logger.info(
            "training on %s in %s%s%s, %d photos and %d paintings%s",
            machine["device"],
            precision,
            f", {workers} threads share a step" if workers > 1 else "",
            f", {group.world_size} processes" if group.world_size > 1 else "",
            len(photos),
            len(paintings),
            f", from pair {state.counters.pairs:,}" if job.checkpoint else "",
        )
        outcome = _run(job, execution, source, timekeeper, facts)
    painter = _painter(job, state.painting_networks().generator_ab, device, precision)
    return Trained(outcome=outcome, painter=painter, precision=precision, photos=to_paint, skipped=skipped)


def _workers(job: Job, execution: Execution) -> int:
    """How many threads share a step; a resumed run keeps their number, unless another setting is asked for."""
    return job.group.broadcast_object(lambda: choose_workers(execution, job.clock, stored_workers(job)))


def ready_to_paint(job: Job, candidate: Candidate) -> Trained:
    """Returns everything that painting needs from an earlier checkpoint of the run, without training.

    Raises:
        InputError: the checkpoint, or photos to be painted, cannot be read.
    """
    contents = job.group.broadcast_object(lambda: load_checkpoint(candidate.path))
    device = shared_device(job)
    learned_from = [unreadable(paths) for paths in (job.layout.photos, job.layout.paintings)]
    counts = [len(job.layout.photos) - len(learned_from[0]), len(job.layout.paintings) - len(learned_from[1])]
    require_same_data(job, contents["data"], {"photos": counts[0], "paintings": counts[1]})
    same = job.layout.to_paint == job.layout.photos
    bad = tuple(learned_from[0] if same else unreadable(job.layout.to_paint))
    precision = job.group.broadcast_object(lambda: suitable_precision(contents["precision"], device, job.clock))
    painter = _painter(job, generator_from_checkpoint(contents), device, precision)
    photos = paintable(job.layout.to_paint, bad, job.skip_bad)
    require_same_images(job, photos)
    if job.group.rank == 0 and job.checkpoint:
        facts = describe_machine(device) | job.environment
        job.tracking.begin(job.folder.path, to_dict(job.config), facts, job.checkpoint["counters"]["pairs"])
    return Trained(
        outcome=Outcome(candidate.pairs, candidate.seconds, candidate.decay_finished, interrupted=False),
        painter=painter,
        photos=photos,
        skipped=bad,
        precision=precision,
    )


def _require_an_end(job: Job) -> None:
    config = job.config
    if job.checkpoint is None and config.training.epochs is None and config.horizon is None and config.budget is None:
        raise InputError("nothing says when to end: give --training.epochs, --horizon or --budget")


def _reserve(job: Job, state: TrainingState, device: torch.device, precision: Precision) -> Reserve | None:
    """Measures what follows training, and refuses a budget that cannot hold it. The first process keeps the reserve."""
    if job.deadline is None:
        return None
    generator = copy.deepcopy(state.painting_networks().generator_ab)
    painter = _painter(job, generator, device, precision)
    sample = readable(job.layout.to_paint, job.config.generation.batch_size) if job.paint else []
    job.group.register_probe(_or_as_before(lambda: seconds_per_photo(painter, sample, job.clock) if sample else 0.0))

    def measure() -> float:
        painting = len(job.layout.to_paint) * max(job.group.gather_probe()) / job.group.world_size
        return painting + (job.afterwards() if job.afterwards else 0.0)

    reserves: list[Reserve] = []

    def begin(budget: float = job.deadline.budget) -> None:
        reserve = Reserve(measure, budget)
        if reserve.seconds() >= job.left:
            reserve.measure_again()  # a busy moment is no reason to refuse
        reserves.append(reserve)
        _require_time(job, reserve)

    job.group.broadcast_object(begin)
    return reserves[0] if reserves else None


def _or_as_before(measure: Callable[[], float]) -> Callable[[], float]:
    """A measurement that is repeated during training, and there may fail, as where memory is short: then the last one
    holds."""
    known: list[float] = []

    def measure_again() -> float:
        try:
            known.append(measure())
        except Exception as error:
            if not known:
                raise
            logger.warning("what follows training cannot be measured now: %s", described(error))
        return known[-1]

    return measure_again


def _require_time(job: Job, reserve: Reserve | None) -> None:
    """Refuses a budget of which nothing is left for training."""
    if job.deadline is None or reserve is None or reserve.seconds() < job.deadline.remaining():
        return
    passed = job.deadline.budget - job.deadline.remaining()
    count, work = len(job.layout.to_paint), format_duration(reserve.work)
    what = f"painting {count:,} photos{' and scoring them' if job.afterwards else ''}"
    reason = (
        f"{what} takes about {work} here" if job.paint else f"ending takes up to {format_duration(reserve.seconds())}"
    )
    raise InputError(
        f"a budget of {job.config.budget} leaves no time to train: {format_duration(passed)} are gone, and {reason}; "
        f"give --budget more than {format_duration(reserve.least_budget(passed))}"
    )


def _painter(job: Job, generator: torch.nn.Module, device: torch.device, precision: Precision) -> Painter:
    """A painter with the settings of a run, and as many threads as this process may have."""
    return make_painter(
        generator,
        job.config.generation,
        device=device,
        precision=precision,
        workers=job.processors,
    )


def _read(job: Job) -> tuple[ImageStore, ImageStore, tuple[Path, ...], tuple[BadImage, ...]]:
    """Decodes both domains; returns them with the photos to paint and those that are left out."""
    layout, load_size = job.layout, job.config.data.load_size
    extra = () if layout.to_paint == layout.photos or not job.paint else layout.to_paint
    job.display.begin("reading", len(layout.photos) + len(layout.paintings) + len(extra), "images")
    share = 2 * job.group.local_world_size  # half of the memory for the processes on this machine
    photos, paintings, others = (
        load_images(
            paths,
            load_size,
            memory_limit=available_memory() // share,
            workers=job.processors,
            on_image=job.display.advance,
        )
        for paths in (layout.photos, layout.paintings, extra)
    )
    job.display.end()
    bad = photos.bad + paintings.bad
    if bad and job.group.rank == 0:
        logger.warning("left out of training: %s", summary_of_bad(bad))
    for store, name in ((photos, "photo"), (paintings, "painting")):
        if len(store) == 0:
            raise InputError(f"no {name} can be read: {summary_of_bad(store.bad, most=3)}")
    skipped = (others.bad if extra else photos.bad) if job.paint else ()
    return photos, paintings, paintable(layout.to_paint, skipped, job.skip_bad), skipped


def _timekeeper(job: Job, state: TrainingState, reserve: Reserve | None, samples_per_epoch: int) -> Timekeeper:
    """Joins the horizon of the run, which its checkpoint holds, with the deadline of this process."""
    counters = state.counters
    horizon, follows_deadline = _horizon(job, samples_per_epoch)
    if horizon == Horizon() and not follows_deadline:
        raise InputError("nothing says when to end: give --training.epochs, --horizon or --budget")
    unchanged = job.checkpoint is not None and horizon == Horizon(**job.checkpoint["horizon"])
    progress = counters.progress if unchanged else 0.0
    return Timekeeper(
        horizon,
        clock=job.clock,
        deadline=job.deadline,
        reserve=reserve,
        deadline_is_horizon=follows_deadline,
        seconds=counters.seconds,
        progress=progress,
    )


def _horizon(job: Job, samples_per_epoch: int) -> tuple[Horizon, bool]:
    """The horizon of the run, and whether the deadline of this process gives it its time. Only an explicit flag of
    another value changes that of a resumed run."""
    config, epochs = job.config, job.config.training.epochs
    asked = Horizon(None if epochs is None else epochs * samples_per_epoch, config.horizon_seconds)
    follows_deadline = config.horizon is None and config.budget is not None
    if job.checkpoint is None:
        return asked, follows_deadline
    stored = Horizon(**job.checkpoint["horizon"])
    if "training.epochs" in job.explicit and asked.pairs != stored.pairs:
        return asked, follows_deadline
    return (Horizon(stored.pairs, asked.seconds) if "horizon" in job.explicit else stored), False


def _run(job: Job, execution: Execution, source: PairSource, timekeeper: Timekeeper, facts: dict[str, Any]) -> Outcome:
    budget = job.config.budget_seconds
    interval = SAVE_INTERVAL if budget is None else min(SAVE_INTERVAL, budget / 10)
    listeners = _listeners(job, execution.device) if job.group.rank == 0 else None
    job.display.begin("training", 1, "progress")

    with job.interrupts.deferred() as stop_requested:
        trainer = Trainer(
            execution,
            source,
            timekeeper,
            Saving(job.folder.checkpoints, facts, interval),
            clock=job.clock,
            listeners=listeners,
            stop_requested=stop_requested,
        )
        outcome = trainer.run()
    job.display.end(outcome.decay_finished)
    if job.group.rank == 0:
        job.tracking.model(outcome.pairs, job.folder.last)
        if outcome.interrupted or not job.paint:
            draw_curves(job.folder, training_steps(job.folder))
    if outcome.interrupted or job.interrupts.received is not None:
        kept = f"{job.folder.last} is saved: add --resume to the command to resume"
        raise Interrupted(
            job.interrupts.received or 2,
            f"stopped after {outcome.pairs:,} pairs; {kept if outcome.saved else 'not saved, as said above'}",
        )
    return outcome


def draw_curves(folder: RunFolder, steps: Sequence[dict[str, Any]]) -> None:
    """Draws the curves of a run, if it has any; the archive comes first.

    Args:
        folder: of the run.
        steps: what `training_steps` returned.
    """
    if steps:
        with side_product(str(folder.curves)):
            save_curves(steps, folder.curves)


def _listeners(job: Job, device: torch.device) -> Listeners:
    """The run's folder, the bar, the sample grids, and the trackers. None of them ends a training."""
    told: set[str] = set()
    grids: SampleGrids | None = None
    with side_product("sample grids"):
        grids = SampleGrids(job, device)

    def on_step(event: StepEvent) -> None:
        with side_product(f"a line in {job.folder.metrics}", told):
            job.folder.write_step(event)
        job.display.update(event.progress, _figures(event), event.time_left)
        job.tracking.step(event)

    def on_epoch(event: EpochEvent) -> None:
        if grids:
            with side_product("a sample grid", told):
                job.tracking.picture(event.pairs, "samples", grids.save(event))

    def on_checkpoint(event: CheckpointEvent) -> None:
        job.tracking.model(event.pairs, event.path)

    def on_incident(incident: Incident) -> None:
        with side_product(f"a line in {job.folder.metrics}", told):
            job.folder.write_incident(incident)

    def on_unsaved(error: Exception) -> None:
        if not job.paint:  # there the checkpoint is what the run is for
            raise error
        logger.warning("%s; the run continues to its archive", described(error))

    return Listeners(on_step, on_epoch, on_checkpoint, on_incident, job.folder.keep_held, on_unsaved)


def _figures(event: StepEvent) -> str:
    """Returns a step's figures for a progress bar."""
    discriminators = event.losses["discriminator_a"] + event.losses["discriminator_b"]
    return (
        f"{event.pairs:,} pairs, {event.pairs_per_second:.3g} pairs/s, G {event.losses['generator']:.2f} "
        f"D {discriminators:.3f}, lr {event.learning_rate:.1e}"
    )
