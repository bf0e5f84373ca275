"""How much faster the same work is, from files to an archive, side by side: python -m tests.benchmarks.end_to_end

Both sides train on as many pairs with networks of the same size, then paint every photo. The plain side opens every
image when its turn comes, trains eagerly in fp32, and paints one batch at a time with Pillow between. This project is
`monet.run.submit`, with all that it does besides: sample grids, checkpoints, validation, the report.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from monet.api import default_context
from monet.data.layout import find_layout
from monet.device import choose_device
from monet.run.resume import GivenSettings
from monet.run.run import Run
from monet.run.submit import submit_run
from monet.run_folder.folder import RunFolder
from monet.settings import resolve
from tests.benchmarks.measure import (
    benchmark_parser,
    draw_files,
    machine,
    peak_memory,
    print_table,
    synchronize,
    write_json,
)
from tests.benchmarks.reference import CycleGan, load, paint


def reference(options: argparse.Namespace, data: Path, folder: Path, device: torch.device) -> dict[str, float]:
    """The plain way."""
    begun = time.perf_counter()
    photos, paintings = (sorted((data / name).iterdir()) for name in ("trainA", "trainB"))
    model = CycleGan(options.width, options.blocks, device)
    for _ in range(0, options.pairs, options.batch_size):
        batches = [
            torch.stack([load(path, 286, 256) for path in random.choices(paths, k=options.batch_size)]).to(device)
            for paths in (photos, paintings)
        ]
        model.step(batches[0], batches[1])
    trained = time.perf_counter()
    paint(model.g_ab.eval(), photos, folder / "plain.zip", 8, device)
    synchronize(device)
    return {"training": trained - begun, "painting": time.perf_counter() - trained}


def monet(options: argparse.Namespace, data: Path, folder: Path) -> dict[str, float]:
    """This project's way."""
    begun = time.perf_counter()
    values = {
        "model": {"width": options.width, "residual_blocks": options.blocks},
        "data": {"samples_per_epoch": options.pairs},
        "training": {"batch_size": options.batch_size, "epochs": 1, "device": options.device, "compile": "off"},
    }
    run = Run(
        config=resolve(values, []),
        given=GivenSettings(),
        layout=find_layout(data),
        folder=RunFolder(folder / f"run-{begun}"),
        resumed_from=None,
        deadline=None,
    )
    submission = submit_run(run, default_context(), run.folder.archive)
    assert submission
    assert submission.num_images == options.photos
    training = submission.outcome.seconds
    return {"training": training, "painting": time.perf_counter() - begun - training}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Times both in turns."""
    device = choose_device(options.device)
    described = machine(device)
    found: dict[str, list[dict[str, float]]] = {"reference": [], "monet": []}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        draw_files(data / "trainA", options.photos)
        draw_files(data / "trainB", 16, "painting")
        few = argparse.Namespace(**{**vars(options), "pairs": 2 * options.batch_size})
        reference(few, data, Path(folder), device)  # warms up
        monet(few, data, Path(folder))
        for _ in range(options.turns):
            found["reference"].append(reference(options, data, Path(folder), device))
            found["monet"].append(monet(options, data, Path(folder)))
    took = {
        side: {part: statistics.median(turn[part] for turn in turns) for part in ("training", "painting")}
        for side, turns in found.items()
    }
    return {"machine": described, "seconds": took, "memory": peak_memory(device)}


def main() -> None:
    """Measures, and prints a table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--photos", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--turns", type=int, default=1)
    options = parser.parse_args()
    found = measure(options)
    totals = {side: sum(parts.values()) for side, parts in found["seconds"].items()}
    print_table(
        [
            f"{options.pairs} pairs, {options.photos} photos",
            "training, s",
            "painting and all else, s",
            "total, s",
            "ratio",
        ],
        [
            [
                side,
                f"{parts['training']:.1f}",
                f"{parts['painting']:.1f}",
                f"{totals[side]:.1f}",
                f"{totals['reference'] / totals[side]:.2f}×",
            ]
            for side, parts in found["seconds"].items()
        ],
    )
    print(f"peak memory, both sides: {found['memory'] / 2**30:.1f} GiB")
    write_json(options.json, found)


if __name__ == "__main__":
    main()
