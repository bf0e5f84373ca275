"""The same photos as every variant paints them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import monet
from monet.data.decode import decode
from monet.reporting.grids import image_grid, save_image
from monet.run_folder.folder import RunFolder
from tests.benchmarks.recipes.plan import Cell
from tests.benchmarks.recipes.training import is_trained


def draw_sheet(cells: Sequence[Cell], folder: Path, photos: Sequence[Path], path: Path) -> None:
    """Draws a row a photo: the photo, and what each end of each variant makes of it, by the first seed that is there.

    Args:
        cells: those of a plan; the ones that are not trained are left out.
        folder: where they were trained.
        photos: all of one size.
        path: a PNG; not written where nothing is trained.
    """
    shown: dict[str, Cell] = {}
    for cell in sorted(cells, key=lambda cell: cell.seed):
        if is_trained(cell, folder):
            shown.setdefault(f"{cell.variant}, {cell.end}", cell)
    if shown:
        columns = [[decode(photo) for photo in photos]]
        for cell in shown.values():
            translator = monet.load(RunFolder(folder / cell.name).last)
            columns.append([translator.translate(photo) for photo in columns[0]])
        save_image(image_grid(list(zip(*columns, strict=True)), ["photo", *shown]), path)
