"""Who is told how the training goes: the run's folder, the progress bar, the sample grids and the trackers."""

from __future__ import annotations

import logging

import torch

from monet.display import Display
from monet.run.run import Run
from monet.run.samples import SampleGrids
from monet.side_products import described, side_product
from monet.training.events import CheckpointEvent, EpochEvent, Incident, Listeners, StepEvent

logger = logging.getLogger(__name__)


def listeners(run: Run, display: Display, device: torch.device, *, save_failure_ends_run: bool) -> Listeners:
    """Returns the listeners of a training. None of them ends it.

    Args:
        run: the run.
        display: shows progress.
        device: where the generators are.
        save_failure_ends_run: a checkpoint that cannot be saved ends the run, because nothing is painted afterwards.
    """
    already_warned: set[str] = set()
    grids: SampleGrids | None = None
    with side_product("sample grids"):
        grids = SampleGrids(run.folder.samples, run.layout, run.config.training, device)

    def on_step(event: StepEvent) -> None:
        with side_product(f"a line in {run.folder.metrics}", already_warned):
            run.folder.write_step(event)
        display.update(event.progress, _figures(event), event.time_left)
        run.tracking.step(event)

    def on_epoch(event: EpochEvent) -> None:
        if grids:
            with side_product("a sample grid", already_warned):
                run.tracking.picture(event.pairs, "samples", grids.save(event))

    def on_checkpoint(event: CheckpointEvent) -> None:
        run.tracking.model(event.pairs, event.path)

    def on_incident(incident: Incident) -> None:
        with side_product(f"a line in {run.folder.metrics}", already_warned):
            run.folder.write_incident(incident)

    def on_unsaved(error: Exception) -> None:
        if save_failure_ends_run:
            raise error
        logger.warning("%s; the run continues to its archive", described(error))

    return Listeners(
        on_step=on_step,
        on_epoch=on_epoch,
        on_checkpoint=on_checkpoint,
        on_incident=on_incident,
        before_save=run.folder.keep_held,
        on_unsaved=on_unsaved,
    )


def _figures(event: StepEvent) -> str:
    """Returns a step's figures for a progress bar."""
    discriminators = sum(loss for name, loss in event.losses.items() if name.startswith("discriminator_"))
    return (
        f"{event.pairs:,} pairs, {event.pairs_per_second:.3g} pairs/s, G {event.losses['generator']:.2f} "
        f"D {discriminators:.3f}, lr {event.learning_rate:.1e}"
    )
