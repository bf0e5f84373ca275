"""A picture of each recipe for other domains: `docs/images/recipes.jpg`.

    python -m tests.benchmarks.recipe_pictures --folder DIR [--pairs 4000] [--recipes resnet9 unet …]

Each recipe is trained on the demo's drawn photos and paintings in small, so that a CPU can carry it: a quarter of the
width, crops of half the side, and its epochs and stages with as few pairs each as make up `--pairs`. Then the same
drawn photos go through all of them. A recipe whose run is in the folder is not trained again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import monet
from monet import recipes
from monet.data.demo import demo_data
from monet.data.pixels import Pixels
from monet.errors import MonetError
from monet.machine import available_processors
from monet.reporting.grids import image_grid
from monet.settings import resolve

ROOT = Path(__file__).parents[2]
RECIPES = ("resnet9", "unet", "resnet9-light", "cartoon", "horse2zebra", "forest-fire")
SMALLER = {"model.width": 16, "model.discriminator_width": 16, "data.load_size": 143, "data.crop_size": 128}
"""Fields that differ from the recipes'."""
OF_SOME = {"unet": {"model.downsamplings": 7}}
"""As deep as these crops allow."""

_PHOTOS = 4
_SIDE = 160


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what is missing, and draws the picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recipe_pictures", allow_abbrev=False)
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="for the runs")
    parser.add_argument("--pairs", type=int, default=4000, metavar="N", help="of each run (default: 4000)")
    parser.add_argument("--recipes", nargs="+", default=RECIPES, choices=RECIPES, metavar="R")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "recipes.jpg", metavar="F")
    options = parser.parse_args(arguments)
    try:
        columns = {recipe: _painted(recipe, options.folder, options.pairs) for recipe in options.recipes}
    except MonetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    rows = [[_small(photo), *(painted[index] for painted in columns.values())] for index, photo in enumerate(_photos())]
    image_grid(rows, ["drawn", *columns]).save(options.output, quality=90)
    print(f"wrote {options.output}")
    return 0


def _painted(recipe: str, folder: Path, pairs: int) -> list[Pixels]:
    last = folder / recipe / "checkpoints" / "last.pt"
    if not last.exists():
        epochs = resolve(recipes.read(recipe)).training.total_epochs
        assert epochs is not None
        few: dict[str, object] = {"data.samples_per_epoch": max(1, pairs // epochs), "budget": None, "tracking": []}
        settings = {**SMALLER, **OF_SOME.get(recipe, {}), **few}
        trained = monet.train("demo", run=folder / recipe, recipe=recipe, settings=settings)
        print(f"{recipe}: {trained.outcome}", flush=True)
    translator = monet.load(last)
    return [_small(translator.translate(photo)) for photo in _photos()]


def _photos() -> list[Image.Image]:
    layout = demo_data(monet.default_context().cache_folder, workers=available_processors())
    found = []
    for path in layout.to_paint[:: len(layout.to_paint) // _PHOTOS][:_PHOTOS]:
        with Image.open(path) as image:
            found.append(image.convert("RGB"))
    return found


def _small(image: Image.Image) -> Pixels:
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    sys.exit(main())
