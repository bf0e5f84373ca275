"""Training with everything around it: data, deadline, run folder, samples, curves."""

from __future__ import annotations

import copy
import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monet.clock import Timekeeper
from monet.config import to_dict
from monet.context import Context
from monet.data.batches import PairSource
from monet.data.store import BadImage, paintable
from monet.device import Precision, describe_machine, suitable_precision
from monet.errors import Interrupted
from monet.generation.painter import Painter, make_painter, unreadable
from monet.models import generator_from_checkpoint
from monet.run.agreement import (
    require_same_data,
    require_same_images,
    shared_device,
    shared_precision,
    stored_workers,
)
from monet.run.compilation import compile_if_worth_it
from monet.run.data import read_images
from monet.run.horizon import require_an_end, timekeeper
from monet.run.listeners import draw_curves, listeners
from monet.run.reserve import AfterTraining, measured_reserve, require_time
from monet.run.run import Run
from monet.run_folder.checkpoints import Candidate
from monet.run_folder.report import training_steps
from monet.training.checkpoints import SAVE_INTERVAL, Saving
from monet.training.execution import Execution
from monet.training.state import TrainingState, run_facts
from monet.training.stored import load_checkpoint
from monet.training.trainer import Outcome, Trainer
from monet.training.workers import choose_workers, shared_steps

logger = logging.getLogger(__name__)

_SAVES_IN_A_BUDGET = 10
"""A run with a budget is saved at least so many times."""


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
    checkpoint: Candidate | None = None
    """The earlier checkpoint that paints, where one was named in place of more training."""


def train(run: Run, context: Context, after: AfterTraining) -> Trained:
    """Trains a run to its horizon, or to the deadline.

    Args:
        run: the run.
        context: its surroundings.
        after: what follows; its time is kept free.

    Raises:
        InputError: neither epochs nor horizon nor budget is given, the budget cannot hold what follows training, images
            to be painted cannot be read, or the checkpoint does not fit.
        MonetError: the loss was not finite too often, or the disk is full.
        Interrupted: the process was asked to stop; the run is saved.
    """
    require_an_end(run)
    config, group = run.config, context.group
    device = shared_device(config.training.device, group)
    precision = shared_precision(run, device, context)
    state = TrainingState.create(config, device, precision)
    if run.checkpoint:
        state.load_state_dict(run.checkpoint, device)
    reserve = None
    if run.deadline:
        generator = copy.deepcopy(state.painting_networks().generator_ab)
        reserve = measured_reserve(run, context, after, _painter(run, context, generator, device, precision))

    images = read_images(run.layout, config.data.load_size, context, paint=after.paint, skip_bad=after.skip_bad)
    if not run.checkpoint:
        group.on_rank_zero(lambda: require_time(run, after, reserve))
    source = PairSource(images.photos, images.paintings, config.data, seed=config.training.seed, device=device)
    execution = Execution(config, state, device, precision, group)
    workers = group.broadcast_object(lambda: choose_workers(execution, context.clock, stored_workers(run)))
    counts = (len(images.photos), len(images.paintings))
    facts = run_facts(config, precision, *counts, workers=workers, device=device.type)
    if run.checkpoint:
        require_same_data(run.folder, run.checkpoint["data"], facts["data"])
    require_same_images(group, images.photos.paths, images.paintings.paths, images.to_paint)
    machine = _machine(context, device)
    machine |= {"precision": precision, "workers": workers, "world_size": group.world_size}
    epoch_length, pairs = source.stream.samples_per_epoch, state.counters.pairs
    if group.rank == 0:
        if run.checkpoint:
            run.folder.set_aside(pairs // epoch_length)
        run.folder.begin(config, machine, pairs)
        run.tracking.begin(run.folder.path, to_dict(config), machine, pairs)

    with shared_steps(execution, workers):
        compile_if_worth_it(run, execution, reserve, context)
        keeper = timekeeper(run, state.counters, reserve, context.clock, samples_per_epoch=epoch_length)
        logger.info("training on %s", _described(machine, counts, pairs if run.checkpoint else None))
        outcome = _train(run, context, after, execution, source, keeper, facts)
    return Trained(
        outcome=outcome,
        painter=_painter(run, context, state.painting_networks().generator_ab, device, precision),
        precision=precision,
        photos=images.to_paint,
        skipped=images.skipped,
    )


def ready_to_paint(run: Run, context: Context, candidate: Candidate, *, skip_bad: bool) -> Trained:
    """Returns everything that painting needs from an earlier checkpoint of the run, without training.

    Args:
        run: the run.
        context: its surroundings.
        candidate: the checkpoint.
        skip_bad: leave photos out that cannot be read.

    Raises:
        InputError: the checkpoint, or photos to be painted, cannot be read.
    """
    group, layout = context.group, run.layout
    contents = group.broadcast_object(lambda: load_checkpoint(candidate.path))
    device = shared_device(run.config.training.device, group)
    bad_photos, bad_paintings = (unreadable(paths) for paths in (layout.photos, layout.paintings))
    counts = {
        "photos": len(layout.photos) - len(bad_photos),
        "paintings": len(layout.paintings) - len(bad_paintings),
    }
    require_same_data(run.folder, contents["data"], counts)
    bad = tuple(bad_photos if layout.to_paint == layout.photos else unreadable(layout.to_paint))
    precision = group.broadcast_object(lambda: suitable_precision(contents["precision"], device, context.clock))
    painter = _painter(run, context, generator_from_checkpoint(contents), device, precision)
    photos = paintable(layout.to_paint, bad, skip_bad)
    require_same_images(group, photos)
    if group.rank == 0 and run.checkpoint:
        pairs = run.checkpoint["counters"]["pairs"]
        run.tracking.begin(run.folder.path, to_dict(run.config), _machine(context, device), pairs)
    return Trained(
        outcome=Outcome(candidate.pairs, candidate.seconds, candidate.decay_finished, interrupted=False),
        painter=painter,
        precision=precision,
        photos=photos,
        skipped=bad,
        checkpoint=candidate,
    )


def _machine(context: Context, device: torch.device) -> dict[str, Any]:
    """Returns the facts about this process for `environment.json`."""
    return describe_machine(device) | {"command": list(context.command)}


def _described(machine: dict[str, Any], counts: tuple[int, int], from_pair: int | None) -> str:
    """Returns where and with what a run is trained, in a few words."""
    words = [f"{machine['device']} in {machine['precision']}"]
    if machine["workers"] > 1:
        words.append(f"{machine['workers']} threads share a step")
    if machine["world_size"] > 1:
        words.append(f"{machine['world_size']} processes")
    words.append(f"{counts[0]} photos and {counts[1]} paintings")
    if from_pair is not None:
        words.append(f"from pair {from_pair:,}")
    return ", ".join(words)


def _painter(
    run: Run, context: Context, generator: torch.nn.Module, device: torch.device, precision: Precision
) -> Painter:
    """Returns a painter with the settings of a run, and as many threads as this process may have."""
    return make_painter(
        generator, run.config.generation, device=device, precision=precision, workers=context.processors
    )


def _train(
    run: Run,
    context: Context,
    after: AfterTraining,
    execution: Execution,
    source: PairSource,
    keeper: Timekeeper,
    facts: dict[str, Any],
) -> Outcome:
    """Runs the training loop between signals, and tells trackers and curves how it ended."""
    first, interrupts = context.group.rank == 0, context.interrupts
    budget = run.config.budget_seconds
    interval = SAVE_INTERVAL if budget is None else min(SAVE_INTERVAL, budget / _SAVES_IN_A_BUDGET)
    told = listeners(run, context.display, execution.device, last_checkpoint_counts=not after.paint) if first else None
    context.display.begin("training", 1, "progress")

    with interrupts.deferred() as stop_requested:
        trainer = Trainer(
            execution,
            source,
            keeper,
            Saving(run.folder.checkpoints, facts, interval),
            clock=context.clock,
            listeners=told,
            stop_requested=stop_requested,
        )
        outcome = trainer.run()
    context.display.end(outcome.decay_finished)
    if first:
        run.tracking.model(outcome.pairs, run.folder.last)
        if outcome.interrupted or not after.paint:
            draw_curves(run.folder, training_steps(run.folder))
    if outcome.interrupted or interrupts.received is not None:
        kept = f"{run.folder.last} is saved: add --resume to the command to resume"
        raise Interrupted(
            interrupts.received or signal.SIGINT,
            f"stopped after {outcome.pairs:,} pairs; {kept if outcome.saved else 'not saved, as said above'}",
        )
    return outcome
