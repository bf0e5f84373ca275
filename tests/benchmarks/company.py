"""What training and painting lose beside other programs on the same processors: python -m tests.benchmarks.company

The other program is one process of another session that computes in one thread: all the time, or three seconds on,
three seconds off. The ways to take a step take turns in short blocks, so that the machine's own changes meet all.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from monet import recipes
from monet.config import Config
from monet.device import choose_precision
from monet.generation.painter import make_painter
from monet.machine import available_processors
from monet.models import build_generator
from monet.settings import resolve
from monet.threads import compute_threads
from monet.training.workers import shared_steps
from tests.benchmarks.measure import benchmark_parser, draw_files, machine, print_table, write_json
from tests.benchmarks.train_step import step, trainer

_CPU = torch.device("cpu")
_NETWORKS: dict[str, dict[str, Any]] = {
    "quick-cpu": recipes.read("quick-cpu"),
    "9 blocks, width 64": {"data": {"load_size": 256, "crop_size": 256}},
}
_COMPANY: dict[str, str | None] = {
    "alone": None,
    "beside a steady one": "while True: pass",
    "beside one that comes and goes": (
        "import time\n"
        "while True:\n"
        "    until = time.monotonic() + 3\n"
        "    while time.monotonic() < until: pass\n"
        "    time.sleep(3)"
    ),
}
_LEAST_STEPS = 3


@contextlib.contextmanager
def company(program: str | None) -> Iterator[None]:
    """Another program is at work meanwhile, in a session of its own."""
    if program is None:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    try:
        time.sleep(0.5)
        yield
    finally:
        process.kill()
        process.wait()


def steps_for(config: Config, seconds: float) -> dict[str, Callable[[], tuple[int, float]]]:
    """Ways to train, each of which takes steps for so long and returns how many, and the seconds."""
    engine = trainer(config, _CPU, compiled=False)
    processors = torch.get_num_threads()
    size = config.training.batch_size

    def block(workers: int, threads: int) -> tuple[int, float]:
        torch.set_num_threads(threads)
        with shared_steps(engine.execution, workers):
            step(engine)
            count, start = 0, time.perf_counter()
            while count < _LEAST_STEPS or time.perf_counter() - start < seconds:
                step(engine)
                count += size
            took = time.perf_counter() - start
        torch.set_num_threads(processors)
        return count, took

    return {
        "layers divided (OpenMP)": lambda: block(1, processors),
        "shared by threads": lambda: block(2 * min(size, processors // 2), processors),
        "one thread": lambda: block(1, 1),
    }


def painting_for(photos: list[Path], seconds: float) -> Callable[[], tuple[int, float]]:
    """Paints for so long; returns how many photos, and the seconds."""
    config = resolve(_NETWORKS["quick-cpu"], [])
    precision = choose_precision("auto", _CPU, time.perf_counter)
    painter = make_painter(build_generator(config.model), config.generation, device=_CPU, precision=precision)

    def block() -> tuple[int, float]:
        for _ in painter.paint(photos[:16]):
            pass
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            count += sum(len(batch) for batch in painter.paint(photos))
        return count, time.perf_counter() - start

    return block


def ceiling_for(seconds: float) -> Callable[[], tuple[int, float]]:
    """Convolutions by one thread a processor, which need nothing of each other: what the system leaves at best."""
    processors = available_processors()
    image, kernel = torch.randn(1, 32, 64, 64), torch.randn(32, 32, 3, 3)

    def convolve(until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            torch.conv2d(image, kernel, padding=1)
            count += 1
        return count

    def block() -> tuple[int, float]:
        start = time.perf_counter()
        with compute_threads(processors) as pool:
            count = sum(pool.map(convolve, [start + seconds] * processors))
        return count, time.perf_counter() - start

    return block


def rates(ways: dict[str, Callable[[], tuple[int, float]]], turns: int) -> dict[str, dict[str, float]]:
    """How many a second each way manages, by company."""
    found: dict[str, dict[str, float]] = {name: {} for name in ways}
    for kind, program in _COMPANY.items():
        totals = {name: [0.0, 0.0] for name in ways}
        for _ in range(turns):
            for name, way in ways.items():
                with company(program):
                    count, seconds = way()
                totals[name][0] += count
                totals[name][1] += seconds
        for name, (done, took) in totals.items():
            found[name][kind] = done / took
    return found


def main() -> None:
    """Measures, and prints a table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=12.0, help="of a block; at least 3 steps (default: 12)")
    parser.add_argument("--turns", type=int, default=2, help="blocks of each kind (default: 2)")
    parser.add_argument("--only", choices=[*_NETWORKS, "painting", "ceiling"], help="measure this alone")
    options = parser.parse_args()
    described = machine(_CPU)
    print(f"{available_processors()} processors, {torch.get_num_threads()} OpenMP threads")
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, values in _NETWORKS.items():
        if options.only in (None, name):
            found[f"pairs/s, {name}"] = rates(steps_for(resolve(values, []), options.seconds), options.turns)
    if options.only in (None, "ceiling"):
        ways = {"one thread a processor, none waits": ceiling_for(options.seconds)}
        found["convolutions/s"] = rates(ways, options.turns)
    if options.only in (None, "painting"):
        with tempfile.TemporaryDirectory() as folder:
            photos = draw_files(Path(folder), 64)
            ways = {"each photo by one thread": painting_for(photos, options.seconds)}
            found["photos/s, quick-cpu"] = rates(ways, options.turns)
    rows = [
        [what, way, *(f"{rate:.3g} ({rate / by_company['alone']:.2f}×)" for rate in by_company.values())]
        for what, ways_found in found.items()
        for way, by_company in ways_found.items()
    ]
    print_table(["what", "how", *_COMPANY], rows)
    write_json(options.json, {"machine": described, "rates": found})


if __name__ == "__main__":
    main()
