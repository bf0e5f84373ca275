"""TensorBoard: event files in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from monet.tracking.commands import command_line
from monet.tracking.tracker import Ending, Reporter, RunInfo, Tracker, installed

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def open_tensorboard(info: RunInfo, reporter: Reporter) -> Tracker:
    """Opens the event files, and hides what was written after the checkpoint that the run is resumed from.

    Raises:
        NoTracker: tensorboard is not installed.
    """
    with installed("tensorboard"):
        from torch.utils.tensorboard import SummaryWriter
    folder = info.folder / "tensorboard"
    writer = SummaryWriter(str(folder), purge_step=info.pairs + 1)
    reporter.tell(f"look at it with: {command_line(['tensorboard', '--logdir', str(folder)])}")
    return _TensorBoardTracker(writer, info)


class _TensorBoardTracker:
    """Event files.

    Args:
        writer: into them.
        info: what is known of the run.
    """

    def __init__(self, writer: SummaryWriter, info: RunInfo) -> None:
        self._writer, self._pairs = writer, info.pairs
        for name, values in (("config", info.settings), ("environment", info.facts)):
            self._writer.add_text(name, f"```json\n{json.dumps(values, indent=2, default=str)}\n```", info.pairs)

    def scalars(self, pairs: int, values: Mapping[str, float]) -> None:
        self._pairs = pairs
        for name, value in values.items():
            self._writer.add_scalar(name, value, pairs)

    def picture(self, pairs: int, name: str, path: Path) -> None:
        with Image.open(path) as image:
            self._writer.add_image(name, np.asarray(image.convert("RGB")), pairs, dataformats="HWC")

    def model(self, pairs: int, path: Path) -> None:
        self._writer.add_text("checkpoints", str(path), pairs)

    def artifact(self, path: Path) -> None:
        self._writer.add_text("files", str(path), self._pairs)

    def summary(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"result/{name}", value, self._pairs)

    def close(self, ending: Ending) -> None:
        self._writer.add_text("ending", ending, self._pairs)
        self._writer.close()
