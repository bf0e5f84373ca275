"""Whether data is ever the limit, side by side with a plain loader: python -m tests.benchmarks.load

The plain loader does what public implementations do for every image of every step: open it with Pillow, resize it
bicubically, crop and flip it, make a tensor of it. Here a domain is decoded once, and a step takes its pairs from
memory.
"""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from monet import recipes
from monet.data.batches import PairSource
from monet.data.store import load_images
from monet.device import choose_device
from monet.settings import resolve
from tests.benchmarks.measure import benchmark_parser, draw_files, in_turns, machine, print_table, write_json
from tests.benchmarks.reference import load
from tests.benchmarks.train_step import step, trainer


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Times batches of both, and a training step of the recipe."""
    device = choose_device(options.device)
    described = machine(device)
    config = resolve(recipes.read(options.recipe), ["--training.device", str(device)])
    data, size = config.data, config.training.batch_size
    with tempfile.TemporaryDirectory() as folder:
        photos = draw_files(Path(folder), options.images)
        begun = time.perf_counter()
        stores = [load_images(photos, data, memory_limit=2**33) for _ in range(2)]
        reading = (time.perf_counter() - begun) / (2 * len(photos))
        source = PairSource(stores[0], stores[1], data, seed=0, device=device)
        positions = itertools.count()

        def batch() -> None:
            first = next(positions) * size
            source.batch(range(first, first + size))

        def plain_batch() -> None:
            chosen = random.choices(photos, k=2 * size)
            torch.stack([load(photo, data.load[0], data.crop[0]) for photo in chosen]).to(device)

        took = in_turns({"reference": plain_batch, "monet": batch}, options.turns, warm_up=3, device=device)
    engine = trainer(config, device, False)
    whole = in_turns({"step": lambda: step(engine)}, 3, warm_up=2, device=device)["step"]
    return {"machine": described, "seconds": took, "step": whole, "seconds_per_image_read": reading}


def main() -> None:
    """Measures, and prints a table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--recipe", default="kaggle-top15")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    found = measure(options)
    print(f"recipe {options.recipe}: a step takes {found['step'] * 1e3:.0f} ms, its batch included; ", end="")
    print(f"reading a domain once takes {found['seconds_per_image_read'] * 1e3:.2f} ms an image")
    print_table(
        ["a step's batch", "ms", "ratio", "share of a step"],
        [
            [name, f"{took * 1e3:.2f}", f"{found['seconds']['reference'] / took:.1f}×", f"{took / found['step']:.1%}"]
            for name, took in found["seconds"].items()
        ],
    )
    write_json(options.json, found)


if __name__ == "__main__":
    main()
