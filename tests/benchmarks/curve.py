"""Whether speed changes what is learned: loss curves beside those of the plain step: python -m tests.benchmarks.curve

All sides see the same pairs in the same order. This project starts from the weights of the first plain run. So do two
more plain runs, one with weights that are off by a millionth, one that draws other images from its pool; a last one has
another seed altogether. (Adam's first steps are nearly the signs of the gradients: rounding alone drives runs apart.)
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from monet.config import Config
from monet.data.batches import PairSource
from monet.data.store import ImageStore, load_images
from monet.device import choose_device
from monet.settings import resolve
from tests.benchmarks.measure import benchmark_parser, draw_files, machine, print_table, write_json
from tests.benchmarks.reference import CycleGan
from tests.benchmarks.train_step import trainer

Curve = NDArray[np.float64]
"""(steps, 2): the losses of the generators and of the discriminators."""


def plain(
    options: argparse.Namespace, source: PairSource, seed: int = 0, pool_seed: int = 0, noise: float = 0.0
) -> tuple[CycleGan, Curve]:
    """A plain run; returns its networks as they were at the start, and its losses."""
    device = choose_device(options.device)
    model, start = (_seeded(options, seed, device) for _ in range(2))
    for parameter in (*model.g_ab.parameters(), *model.g_ba.parameters()):
        parameter.data.mul_(1 + noise)
    random.seed(pool_seed)
    size = options.batch_size
    curve = [model.step(*source.batch(range(first, first + size))) for first in _firsts(options)]
    return start, np.array(curve)


def _seeded(options: argparse.Namespace, seed: int, device: torch.device) -> CycleGan:
    torch.manual_seed(seed)
    return CycleGan(options.width, options.blocks, device)


def ours(
    options: argparse.Namespace, stores: Sequence[ImageStore], start: CycleGan, words: list[str], compiled: bool
) -> Curve:
    """A run of this project from the plain run's weights."""
    device = choose_device(options.device)
    engine = trainer(_config(options, words), device, compiled, stores)
    for name, theirs in (
        ("generator_ab", start.g_ab),
        ("generator_ba", start.g_ba),
        ("discriminator_a", start.d_a),
        ("discriminator_b", start.d_b),
    ):
        copy_weights(theirs, engine.state.networks.named()[name])
    losses = []
    for _ in _firsts(options):
        losses.append(engine.take_step(0.0))
        engine.report()
    values = torch.stack(losses).double().cpu().numpy()
    return np.stack([values[:, 0], values[:, -2:].sum(1)], 1)


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copies weights between networks of the same layers."""
    with torch.no_grad():
        for mine, theirs in zip(target.parameters(), source.parameters(), strict=True):
            mine.copy_(theirs)


def distance(one: Curve, other: Curve, window: int) -> Curve:
    """The mean absolute difference of two curves, each a moving average over a window of steps: (2,)."""
    kernel = np.ones(window) / window
    smooth = [np.stack([np.convolve(c[:, i], kernel, "valid") for i in range(2)], 1) for c in (one, other)]
    return np.abs(smooth[0] - smooth[1]).mean(0)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Trains all sides."""
    device = choose_device(options.device)
    described = machine(device)
    config = _config(options, [])
    with tempfile.TemporaryDirectory() as folder:
        stores = [
            load_images(draw_files(Path(folder) / domain, 64, domain), config.data) for domain in ("photo", "painting")
        ]
    source = PairSource(stores[0], stores[1], config.data, seed=config.training.seed, device=device)
    start, first = plain(options, source)
    curves = {
        "plain, weights off by a millionth": plain(options, source, noise=1e-6)[1],
        "plain, other images from the pool": plain(options, source, pool_seed=1)[1],
        "plain, other seed": plain(options, source, seed=1, pool_seed=1)[1],
    }
    curves["here, fp32"] = ours(options, stores, start, ["--training.precision", "fp32"], False)
    curves["here, auto"] = ours(options, stores, start, [], False)
    curves["here, auto, compiled"] = ours(options, stores, start, [], True)
    return {
        "machine": described,
        "first": first.tolist(),
        "curves": {name: curve.tolist() for name, curve in curves.items()},
        "distances": {name: distance(curve, first, options.window).tolist() for name, curve in curves.items()},
    }


def _firsts(options: argparse.Namespace) -> range:
    return range(0, options.steps * options.batch_size, options.batch_size)


def _config(options: argparse.Namespace, words: list[str]) -> Config:
    settings = {"width": options.width, "residual_blocks": options.blocks, "discriminator_width": 64}
    data = {"load_size": options.size + 16, "crop_size": options.size}
    training = {"batch_size": options.batch_size, "device": options.device}
    return resolve({"model": settings, "data": data, "training": training}, words)


def main() -> None:
    """Measures, and prints a table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--window", type=int, default=20)
    options = parser.parse_args()
    begun = time.monotonic()
    found = measure(options)
    last = np.array(found["first"])[-options.window :].mean(0)
    print(f"the first plain run ends at generators {last[0]:.3f}, discriminators {last[1]:.3f}; difference to it,")
    print(f"averaged over {options.steps} steps, of curves smoothed over {options.window}:")
    print_table(
        ["run", "generators", "discriminators"],
        [[name, *(f"{value:.4f}" for value in values)] for name, values in found["distances"].items()],
    )
    print(f"took {time.monotonic() - begun:.0f} s")
    write_json(options.json, found)


if __name__ == "__main__":
    main()
