"""What trackers cost a training step, side by side: python -m tests.benchmarks.tracking

One trainer takes blocks of steps. In every other block the trackers are told of each step as a run tells them, with a
picture in each; in the blocks between their processes are stopped, so that they take nothing from the processors. Wall
time is noisy where others work, too; the processor time that the trackers take is not.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from monet import recipes
from monet.config import to_dict
from monet.device import choose_device
from monet.machine import available_processors
from monet.settings import resolve
from monet.tracking.tracking import Tracking
from monet.training.events import Listeners, StepEvent
from tests.benchmarks.measure import benchmark_parser, draw_files, machine, print_table, synchronize, write_json
from tests.benchmarks.train_step import step, trainer


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Times blocks of steps with and without trackers, in turns."""
    device = choose_device(options.device)
    described = machine(device)
    config = resolve(recipes.read(options.recipe), ["--training.device", str(device)])
    names = options.trackers.split(",")
    with tempfile.TemporaryDirectory() as folder:
        (sample,) = draw_files(Path(folder) / "samples", 1)
        tracking = Tracking(names)
        tracking.begin(Path(folder) / "run", to_dict(config), described, 0)
        processes = [process._process.pid for process in tracking._processes if process._process]
        on = [False]

        def on_step(event: StepEvent) -> None:
            if on[0]:
                tracking.step(event)

        training = trainer(config, device, compiled=False, listeners=Listeners(on_step))
        for _ in range(3):
            step(training)
        time.sleep(options.settle)  # the trackers' libraries are imported
        used = _processor_seconds(processes)
        took: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(2 * options.turns):
            on[0] = bool(turn % 2)
            for process in processes:
                os.kill(process, signal.SIGCONT if on[0] else signal.SIGSTOP)
            begun = time.perf_counter()
            for _ in range(options.steps):
                step(training)
            if on[0]:
                tracking.picture(turn, "samples", sample)
            synchronize(device)
            took[on[0]].append((time.perf_counter() - begun) / options.steps)
        for process in processes:
            os.kill(process, signal.SIGCONT)
        used = _processor_seconds(processes) - used
        begun = time.perf_counter()
        tracking.end("completed")
        ended = time.perf_counter() - begun
    ratios = [with_them / without for without, with_them in zip(took[False], took[True], strict=True)]
    share = used / (sum(took[True]) * options.steps * available_processors())
    return {
        "machine": described,
        **{"without": took[False], "with": took[True]},
        "ratios": ratios,
        "share": share,
        "end": ended,
    }


def _processor_seconds(processes: list[int]) -> float:
    """Of these and what they started."""
    found = [psutil.Process(process) for process in processes]
    found += [child for process in found for child in process.children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in found)


def main() -> None:
    """Measures, and prints a table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--recipe", default="quick-cpu")
    parser.add_argument("--trackers", default="clearml")
    parser.add_argument("--turns", type=int, default=15, help="blocks of each kind (default: 15)")
    parser.add_argument("--steps", type=int, default=60, help="in a block (default: 60)")
    parser.add_argument("--settle", type=float, default=15.0, help="seconds before the first block (default: 15)")
    options = parser.parse_args()
    found = measure(options)
    ratios = sorted(found["ratios"])
    middle = ratios[len(ratios) // 4 : -(len(ratios) // 4) or None]
    print_table(
        ["steps", "seconds, median", "ratio to the block before, median", "its middle half"],
        [
            ["alone", f"{statistics.median(found['without']):.4f}", "", ""],
            [
                f"with {options.trackers}",
                f"{statistics.median(found['with']):.4f}",
                f"{statistics.median(ratios):.3f}",
                f"{middle[0]:.3f} to {middle[-1]:.3f}",
            ],
        ],
    )
    print(f"the trackers took {found['share']:.2%} of the processors")
    print(f"the end waited {found['end']:.1f} s")
    write_json(options.json, found)


if __name__ == "__main__":
    main()
