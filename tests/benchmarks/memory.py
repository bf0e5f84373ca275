"""How much memory painting and training take: python -m tests.benchmarks.memory

Each figure is the peak of a process of its own: resident on a CPU, reserved by PyTorch on an accelerator.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from monet import checkpoint, recipes
from monet.clock import Horizon
from monet.device import choose_device
from monet.settings import resolve
from monet.training.state import TrainingState, run_facts
from tests.benchmarks.measure import (
    benchmark_parser,
    draw_files,
    machine,
    peak_memory,
    print_table,
    resident_peak,
    synchronize,
    write_json,
)
from tests.benchmarks.train_step import step, trainer

_STEPS = {
    "as it is": [],
    "in 2 parts": ["--training.accumulation", "2"],
    "in 3 parts": ["--training.accumulation", "3"],
    "activations computed once more": ["--training.activation_checkpointing", "true"],
    "both": ["--training.accumulation", "2", "--training.activation_checkpointing", "true"],
}


def painting(counts: list[int], folder: Path) -> dict[int, dict[str, float]]:
    """Paints ever more photos with a tiny network, through `pipelines.generate`."""
    config = resolve({}, ["--model.width", "2", "--model.residual_blocks", "0", "--model.downsamplings", "1"])
    state = TrainingState.create(config, torch.device("cpu"), "fp32")
    facts = run_facts(config, "fp32", 1, 1)
    checkpoint.save(folder / "tiny.pt", {**state.state_dict(), "horizon": asdict(Horizon(pairs=1)), **facts})
    drawn = draw_files(folder / "drawn", 16)
    found = {}
    for count in counts:
        photos = folder / f"photos-{count}"
        photos.mkdir()
        for index in range(count):
            os.link(drawn[index % len(drawn)], photos / f"{index:06d}.jpg")
        words = ["--checkpoint", folder / "tiny.pt", "--photos", photos, "--zip", folder / f"{count}.zip"]
        begun = time.perf_counter()
        peak = _peak(["pipelines.generate", *map(str, words), "--device", "cpu", "--precision", "fp32"])
        found[count] = {"seconds": time.perf_counter() - begun, "bytes": peak}
        (folder / f"{count}.zip").unlink()
    return found


def training(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Takes three steps of a recipe in processes of their own."""
    found = {}
    for name, words in _STEPS.items():
        command = ["--recipe", options.recipe, "--device", options.device, "--steps-with", json.dumps(words)]
        result = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.memory", *command], capture_output=True, text=True, check=True
        )
        found[name] = json.loads(result.stdout)
    return found


def _steps(options: argparse.Namespace) -> None:
    """Prints the peak of a process that does nothing but three steps, and what the quicker of the last two took."""
    device = choose_device(options.device)
    words = ["--training.accumulation", "1", "--training.device", str(device), *json.loads(options.steps_with)]
    engine = trainer(resolve(recipes.read(options.recipe), words), device, False)
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        step(engine)
        synchronize(device)
        took.append(time.perf_counter() - begun)
    print(json.dumps({"bytes": peak_memory(device), "seconds": min(took[1:])}))


def _peak(words: list[str]) -> int:
    """Bytes that a command had resident at most."""
    process = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident_peak(Path(f"/proc/{process.pid}/status")))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{words[0]} failed")
    return peak


def main() -> None:
    """Measures, and prints two tables."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--recipe", default="kaggle-top15")
    parser.add_argument("--photos", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--steps-with", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps_with:
        _steps(options)
        return
    found: dict[str, Any] = {"machine": machine(choose_device(options.device))}
    with tempfile.TemporaryDirectory() as folder:
        found["painting"] = painting(options.photos, Path(folder))
    print_table(
        ["photos", "peak, MiB", "photos/s"],
        [
            [f"{count:,}", f"{peak['bytes'] / 2**20:.0f}", f"{count / peak['seconds']:.0f}"]
            for count, peak in found["painting"].items()
        ],
    )
    found["training"] = training(options)
    print_table(
        [f"a step of {options.recipe}", "peak, GiB", "seconds"],
        [[name, f"{step['bytes'] / 2**30:.1f}", f"{step['seconds']:.1f}"] for name, step in found["training"].items()],
    )
    write_json(options.json, found)


if __name__ == "__main__":
    main()
