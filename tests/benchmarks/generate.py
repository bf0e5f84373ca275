"""How much faster painting to an archive is than the plain loop, side by side: python -m tests.benchmarks.generate

The plain loop opens a batch with Pillow, paints it in fp32, encodes it with Pillow, then takes the next. The bare
network is this project's own, over the same photos already decoded, one after the other on each processor (or in
batches on an accelerator), with nothing encoded: what painting cannot be faster than.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from monet.config import GenerationConfig, ModelConfig
from monet.data.decode import decode
from monet.data.pixels import to_network, to_pixels
from monet.device import autocast, choose_device, choose_precision
from monet.generation.painter import make_painter
from monet.machine import available_processors
from monet.models import build_generator
from monet.threads import compute_threads
from tests.benchmarks.measure import (
    benchmark_parser,
    draw_files,
    in_turns,
    machine,
    peak_memory,
    print_table,
    synchronize,
    write_json,
)
from tests.benchmarks.reference import generator as plain_generator
from tests.benchmarks.reference import paint


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Times the plain loop, this project's painter, and its bare network in turns."""
    device = choose_device(options.device)
    described = machine(device)
    precision = choose_precision(options.precision, device, time.monotonic)
    mine = build_generator(ModelConfig(width=options.width, residual_blocks=options.blocks)).requires_grad_(False)
    settings = GenerationConfig(batch_size=options.batch_size)
    painter = make_painter(mine, settings, device=device, precision=precision)
    plain = plain_generator(options.width, options.blocks).to(device).eval()
    with tempfile.TemporaryDirectory() as folder:
        photos = draw_files(Path(folder), options.photos)
        decoded = [torch.tensor(decode(photo, 256)) for photo in photos]

        def bare(batch: list[torch.Tensor]) -> None:
            with torch.inference_mode(), autocast(device, precision):
                painted = mine(to_network(torch.stack(batch), device))
            if device.type == "cpu":
                to_pixels(painted)

        def network() -> None:
            if device.type == "cpu":
                with compute_threads(available_processors()) as pool:
                    list(pool.map(bare, [[photo] for photo in decoded]))
                return
            for start in range(0, len(decoded), options.batch_size):
                bare(decoded[start : start + options.batch_size])
            synchronize(device)

        sides = {
            "reference": lambda: paint(plain, photos, Path(folder) / "plain.zip", options.batch_size, device),
            "monet": lambda: painter.paint_archive(photos, Path(folder) / "images.zip"),
            "monet's bare network": network,
        }
        took = in_turns(sides, options.turns, device=device)
    return {
        "machine": described,
        "precision": precision,
        "photos": options.photos,
        "seconds": took,
        "memory": peak_memory(device),
    }


def main() -> None:
    """Measures, and prints a table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=11)
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    found = measure(options)
    print_table(
        ["painting", "seconds", "images/s", "ratio"],
        [
            [
                name,
                f"{seconds:.2f}",
                f"{options.photos / seconds:.2f}",
                f"{found['seconds']['reference'] / seconds:.2f}×",
            ]
            for name, seconds in found["seconds"].items()
        ],
    )
    print(f"in {found['precision']}; peak memory, all sides: {found['memory'] / 2**30:.1f} GiB")
    write_json(options.json, found)


if __name__ == "__main__":
    main()
