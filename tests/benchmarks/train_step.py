"""How much faster a training step is than CycleGAN's plain one, side by side: python -m tests.benchmarks.train_step"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from monet.clock import Horizon, Timekeeper
from monet.config import Config
from monet.data.batches import PairSource
from monet.data.store import ImageStore
from monet.device import choose_device, choose_precision
from monet.settings import resolve
from monet.training.checkpoints import Saving
from monet.training.compiling import compile_networks
from monet.training.events import Listeners
from monet.training.execution import Execution
from monet.training.state import TrainingState
from monet.training.trainer import Trainer
from monet.training.workers import shared_steps
from tests.benchmarks.measure import benchmark_parser, ceiling, in_turns, machine, peak_memory, print_table, write_json
from tests.benchmarks.reference import CycleGan

_IMAGES = 8


def trainer(
    config: Config,
    device: torch.device,
    compiled: bool,
    stores: Sequence[ImageStore] | None = None,
    listeners: Listeners | None = None,
) -> Trainer:
    """This project's trainer as `pipelines.train` makes it, over random images where none are given."""
    precision = choose_precision(config.training.precision, device, time.monotonic)
    stores = stores or [
        ImageStore(
            torch.randint(0, 256, (_IMAGES, 3, *config.data.load), dtype=torch.uint8), (Path("image"),) * _IMAGES, ()
        )
        for _ in range(2)
    ]
    state = TrainingState.create(config, device, precision)
    execution = Execution(config, state, device, precision)
    if compiled and not compile_networks(execution):
        raise SystemExit("torch.compile fails here")
    return Trainer(
        execution,
        PairSource(stores[0], stores[1], config.data, seed=0, device=device),
        Timekeeper(Horizon(pairs=10**9), clock=time.monotonic),
        Saving(Path(tempfile.gettempdir()), {}),
        clock=time.monotonic,
        listeners=listeners,
    )


def step(engine: Trainer) -> None:
    """Takes a step as a run does: on a CPU it is reported at once."""
    engine.take_step()
    engine.report_if_due()


def shared_step(engine: Trainer, batch_size: int) -> None:
    """A step that threads share, as many as there are processors and halves of parts to compute."""
    with shared_steps(engine.execution, 2 * min(batch_size, max(1, torch.get_num_threads() // 2))):
        step(engine)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Times both steps in turns, on images of the same size."""
    device = choose_device(options.device)
    described = machine(device)
    settings = {"width": options.width, "residual_blocks": options.blocks, "discriminator_width": 64}
    config = resolve(
        {
            "model": settings,
            "data": {"load_size": options.size, "crop_size": options.size},
            "training": {"batch_size": options.batch_size, "device": str(device), "precision": options.precision},
        },
        [],
    )
    plain = CycleGan(options.width, options.blocks, device)
    batch = [torch.rand(options.batch_size, 3, options.size, options.size, device=device) * 2 - 1 for _ in range(2)]
    with FlopCounterMode(display=False) as counter:
        plain.step(batch[0], batch[1])
    flops = counter.get_total_flops()
    sides: dict[str, Any] = {"reference": lambda: plain.step(batch[0], batch[1])}
    for name, compiled in (("monet", False), ("monet, compiled", True)):
        if compiled <= options.compile:
            engine = trainer(config, device, compiled)
            sides[name] = functools.partial(step, engine)
            if device.type == "cpu":
                sides[f"{name}, shared by threads"] = functools.partial(shared_step, engine, options.batch_size)
    took = in_turns(sides, options.turns, warm_up=2, device=device)
    best = {str(dtype).removeprefix("torch."): ceiling(device, dtype) for dtype in (torch.float32, torch.bfloat16)}
    return {"machine": described, "flops": flops, "seconds": took, "ceiling": best, "memory": peak_memory(device)}


def main() -> None:
    """Measures, and prints a table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--compile", action="store_true", help="measure the compiled step, too")
    options = parser.parse_args()
    found = measure(options)
    best = max(found["ceiling"].values())
    print(f"{found['flops'] / 1e12:.3f} TFLOP a step; best convolution or product: ", end="")
    print(", ".join(f"{name} {rate / 1e12:.2f} TFLOP/s" for name, rate in found["ceiling"].items()))
    print_table(
        ["step", "seconds", "pairs/s", "ratio", "share of the ceiling"],
        [
            [
                name,
                f"{seconds:.3f}",
                f"{options.batch_size / seconds:.3f}",
                f"{found['seconds']['reference'] / seconds:.2f}×",
                f"{found['flops'] / seconds / best:.0%}",
            ]
            for name, seconds in found["seconds"].items()
        ],
    )
    print(f"peak memory, both sides: {found['memory'] / 2**30:.1f} GiB")
    write_json(options.json, found)


if __name__ == "__main__":
    main()
