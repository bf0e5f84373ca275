"""The sample grids of a run: the same few images, translated there and back, at the end of every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from monet.config import TrainingConfig
from monet.data.decode import UnreadableImage, decode
from monet.data.layout import Layout
from monet.data.pixels import to_network
from monet.data.stream import Purpose, permutation
from monet.reporting.grids import save_image, translation_grid
from monet.sizes import SIDE
from monet.training.events import EpochEvent

SAMPLES = 4
"""Photos and paintings in a sample grid."""


class SampleGrids:
    """Paints the same photos and paintings whenever an epoch ends.

    Args:
        folder: where the grids go.
        layout: the images.
        training: the settings that say which directions are trained, and the seed of the choice among the images.
        device: where the generators are.
    """

    def __init__(self, folder: Path, layout: Layout, training: TrainingConfig, device: torch.device) -> None:
        self._folder = folder
        self._back = "ba" in training.directions
        chosen = [_chosen(paths, training.seed) for paths in (layout.to_paint, layout.test_paintings)]
        rows = min(len(paths) for paths in chosen)
        self._photos, self._paintings = (_tensors(paths[:rows], device) for paths in chosen)

    def save(self, event: EpochEvent) -> Path:
        """Writes `samples/epoch-0010.png`, and returns its path."""
        grid = translation_grid(event.generators, self._photos, self._paintings, back=self._back)
        path = self._folder / f"epoch-{event.epoch:04d}.png"
        save_image(grid, path)
        return path


def readable(photos: Sequence[Path], count: int) -> list[Path]:
    """Returns the first few photos that can be read."""
    found: list[Path] = []
    for photo in photos:
        if len(found) == count:
            break
        try:
            decode(photo)
        except UnreadableImage:
            continue
        found.append(photo)
    return found


def _chosen(paths: Sequence[Path], seed: int) -> list[Path]:
    order = permutation(seed, Purpose.SAMPLE_GRID, 0, len(paths))
    return readable([paths[index] for index in order], SAMPLES)


def _tensors(paths: Sequence[Path], device: torch.device) -> torch.Tensor:
    return to_network(torch.from_numpy(np.stack([decode(path, SIDE) for path in paths])), device)
