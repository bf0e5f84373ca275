"""What a run paints, and with what: the networks that it has trained, or those of an earlier checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monet.config import to_dict
from monet.context import Context
from monet.data.store import BadImage, paintable
from monet.device import Precision, describe_machine, suitable_precision
from monet.generation.painter import Painter, make_painter, unreadable
from monet.models import generator_from_checkpoint
from monet.run.agreement import require_same_data, require_same_images, shared_device
from monet.run.run import Run
from monet.run_folder.checkpoints import Candidate
from monet.training.stored import load_checkpoint
from monet.training.trainer import Outcome


@dataclass(frozen=True, kw_only=True)
class PaintJob:
    """What a run paints, and with what."""

    outcome: Outcome
    """How the training of the networks ended."""
    painter: Painter
    precision: Precision
    """In which it paints."""
    photos: tuple[Path, ...]
    """The photos to paint, all of them readable."""
    skipped: tuple[BadImage, ...]
    """Photos that are left out of the archive."""
    painted_with: Candidate | None = None
    """The earlier checkpoint that paints, where one was named in place of more training."""


def job_of_checkpoint(run: Run, context: Context, candidate: Candidate, *, skip_bad: bool) -> PaintJob:
    """Returns what an earlier checkpoint of the run paints, without training.

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
    painter = run_painter(run, context, generator_from_checkpoint(contents), device, precision)
    photos = paintable(layout.to_paint, bad, skip_bad)
    require_same_images(group, photos)
    if group.rank == 0 and run.resumed_from:
        pairs = run.resumed_from["counters"]["pairs"]
        run.tracking.begin(run.folder.path, to_dict(run.config), machine_facts(context, device), pairs)
    return PaintJob(
        outcome=Outcome(candidate.pairs, candidate.seconds, candidate.decay_finished, interrupted=False),
        painter=painter,
        precision=precision,
        photos=photos,
        skipped=bad,
        painted_with=candidate,
    )


def run_painter(
    run: Run, context: Context, generator: torch.nn.Module, device: torch.device, precision: Precision
) -> Painter:
    """Returns a painter with the settings of a run, and as many threads as this process may have."""
    return make_painter(
        generator, run.config.generation, device=device, precision=precision, workers=context.processors
    )


def machine_facts(context: Context, device: torch.device) -> dict[str, Any]:
    """Returns the facts about this process for `environment.json`."""
    return describe_machine(device) | {"command": list(context.command)}
