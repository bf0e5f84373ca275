"""Training with everything around it: data, deadline, run folder, trackers, curves."""

from __future__ import annotations

import copy
import logging
import signal
from typing import Any

from monet.clock import Timekeeper
from monet.config import to_dict
from monet.context import Context
from monet.data.batches import PairSource
from monet.errors import Interrupted
from monet.run.after_training import AfterTraining, measured_reserve, require_time
from monet.run.agreement import (
    require_same_data,
    require_same_images,
    shared_device,
    shared_precision,
    stored_workers,
)
from monet.run.compilation import compile_if_worth_it
from monet.run.data import read_images
from monet.run.listeners import listeners
from monet.run.paint_job import PaintJob, machine_facts, run_painter
from monet.run.run import Run
from monet.run.timekeeping import require_an_end, timekeeper
from monet.run_folder.report import draw_curves, training_steps
from monet.training.checkpoints import SAVE_INTERVAL, Saving
from monet.training.execution import Execution
from monet.training.state import TrainingState, run_facts
from monet.training.trainer import Outcome, Trainer
from monet.training.workers import choose_workers, shared_steps

logger = logging.getLogger(__name__)

_SAVES_IN_A_BUDGET = 10
"""Saves are at most this part of the budget apart."""


def train_run(run: Run, context: Context, after: AfterTraining) -> PaintJob:
    """Trains a run to its horizon, or to the deadline.

    Args:
        run: the run.
        context: its surroundings.
        after: what follows; its time is kept free.

    Returns:
        What is painted then, and with what.

    Raises:
        InputError: neither epochs nor horizon nor budget is given, the budget cannot hold what follows training, images
            to be painted cannot be read, or the checkpoint does not fit.
        MonetError: the loss was NaN or infinite in too many steps, memory ran out, or the disk is full.
        Interrupted: the process was asked to stop; the run is saved.
    """
    require_an_end(run)
    config, group = run.config, context.group
    device = shared_device(config.training.device, group)
    precision = shared_precision(run, device, context)
    state = TrainingState.create(config, device, precision)
    if run.resumed_from:
        state.load_state_dict(run.resumed_from, device)
    reserve = None
    if run.deadline:
        generator = copy.deepcopy(state.painting_networks().generator_ab)  # a painter prepares it for painting alone
        reserve = measured_reserve(run, context, after, run_painter(run, context, generator, device, precision))

    images = read_images(run.layout, config.data, context, paint=after.paint, skip_bad=after.skip_bad)
    if not run.resumed_from:  # a resumed run has networks to paint with, whatever time reading took
        group.on_rank_zero(lambda: require_time(run, after, reserve))
    source = PairSource(images.photos, images.paintings, config.data, seed=config.training.seed, device=device)
    execution = Execution(config, state, device, precision, group)
    workers = group.broadcast_object(lambda: choose_workers(execution, context.clock, stored_workers(run)))
    counts = (len(images.photos), len(images.paintings))
    facts = run_facts(config, precision, *counts, workers=workers, device=device.type)
    if run.resumed_from:
        require_same_data(run.folder, run.resumed_from["data"], facts["data"])
    require_same_images(group, images.photos.paths, images.paintings.paths, images.to_paint)
    machine = machine_facts(context, device)
    machine |= {"precision": precision, "workers": workers, "world_size": group.world_size}
    epoch_length, pairs = source.stream.samples_per_epoch, state.counters.pairs
    if group.rank == 0:
        if run.resumed_from:
            run.folder.set_aside(pairs // epoch_length)
        run.folder.begin(config, machine, pairs)
        run.tracking.begin(run.folder.path, to_dict(config), machine, pairs)

    with shared_steps(execution, workers):
        compile_if_worth_it(run, execution, reserve, context)
        keeper = timekeeper(run, state.counters, reserve, context.clock, samples_per_epoch=epoch_length)
        if "ba" not in config.training.directions:
            logger.info("one direction alone, the first domain to the second: training.lambda_cycle is 0")
        logger.info("training on %s", _described(machine, counts, pairs if run.resumed_from else None))
        outcome = _train(run, context, after, execution, source, keeper, facts)
    return PaintJob(
        outcome=outcome,
        painter=run_painter(run, context, state.painting_networks().generator_ab, device, precision),
        precision=precision,
        photos=images.to_paint,
        skipped=images.skipped,
    )


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
    run_listeners = (
        listeners(run, context.display, execution.device, save_failure_ends_run=not after.paint) if first else None
    )
    context.display.begin("training", 1, "progress")

    with interrupts.deferred() as stop_requested:
        trainer = Trainer(
            execution,
            source,
            keeper,
            Saving(run.folder.checkpoints, facts, interval),
            clock=context.clock,
            listeners=run_listeners,
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
