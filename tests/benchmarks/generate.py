"""How much faster painting to an archive is than the plain loop, side by side: python -m tests.benchmarks.generate

The plain loop opens a batch with Pillow, paints it in fp32, encodes it with Pillow, then takes the next. The bare
network is this project's own, over the same photos already decoded, one after the other on each processor (or in
batches on an accelerator), with nothing encoded: what painting cannot be faster than.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from monet.config import ModelConfig
from monet.data.decode import decode
from monet.data.drawing import draw
from monet.device import autocast, choose_device, choose_precision, single_threaded
from monet.generation.painter import Painter, to_network, to_pixels
from monet.machine import available_processors
from monet.models import build_generator
from tests.benchmarks.measure import in_turns, machine, peak_memory, print_table, synchronize, write_json
from tests.benchmarks.reference import generator as plain_generator


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Times the plain loop, this project's painter, and its bare network in turns."""
    device = choose_device(options.device)
    described = machine(device)
    precision = choose_precision(options.precision, device, time.monotonic)
    mine = build_generator(ModelConfig(width=options.width, residual_blocks=options.blocks)).requires_grad_(False)
    painter = Painter(mine, device=device, precision=precision, batch_size=options.batch_size)
    plain = plain_generator(options.width, options.blocks).to(device).eval()
    with tempfile.TemporaryDirectory() as folder:
        photos = [Path(folder) / f"{index:04d}.jpg" for index in range(options.photos)]
        for index, photo in enumerate(photos):
            draw(0, "photo", index).save(photo, quality=95)
        decoded = [torch.tensor(decode(photo, 256)) for photo in photos]

        def reference() -> None:
            with torch.inference_mode(), zipfile.ZipFile(Path(folder) / "plain.zip", "w") as archive:
                for start in range(0, len(photos), options.batch_size):
                    chosen = photos[start : start + options.batch_size]
                    batch = np.stack([np.asarray(Image.open(photo).convert("RGB")) for photo in chosen])
                    painted = plain(torch.from_numpy(batch).permute(0, 3, 1, 2).float().to(device) / 127.5 - 1)
                    pixels = ((painted + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
                    for photo, image in zip(chosen, pixels, strict=True):
                        buffer = io.BytesIO()
                        Image.fromarray(image).save(buffer, "JPEG", quality=95)
                        archive.writestr(photo.name, buffer.getvalue())

        def bare(batch: list[torch.Tensor]) -> None:
            with torch.inference_mode(), autocast(device, precision):
                painted = mine(to_network(torch.stack(batch), device))
            if device.type == "cpu":
                to_pixels(painted)

        def network() -> None:
            if device.type == "cpu":
                with single_threaded(available_processors()) as pool:
                    list(pool.map(bare, [[photo] for photo in decoded]))
                return
            for start in range(0, len(decoded), options.batch_size):
                bare(decoded[start : start + options.batch_size])
            synchronize(device)

        sides = {
            "reference": reference,
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=11)
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path)
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
