"""What the benchmarks share: turns, the machine's own ceiling, peak memory, tables."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F

from monet.data.drawing import draw
from monet.device import describe_machine


def in_turns(
    sides: Mapping[str, Callable[[], Any]], turns: int, *, warm_up: int = 1, device: torch.device | None = None
) -> dict[str, float]:
    """Seconds of each side: the median of several turns, after some that warm up.

    Args:
        sides: what is timed, by name; they take turns.
        turns: that are timed.
        warm_up: turns before that.
        device: waited for before and after each.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(warm_up + turns):
        for name, work in sides.items():
            synchronize(device)
            start = time.perf_counter()
            work()
            synchronize(device)
            if turn >= warm_up:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(measured) for name, measured in times.items()}


def synchronize(device: torch.device | None) -> None:
    """Waits for an accelerator."""
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def ceiling(device: torch.device, dtype: torch.dtype, side: int = 0) -> float:
    """The best rate of a convolution or a matrix product on this machine, in FLOP/s.

    The convolution is the one in which a generator at 256×256 spends most of its time: 3×3, 256 channels, 64×64.

    Args:
        device: where.
        dtype: of the numbers.
        side: of the product's matrices; large enough for the device by default.
    """
    usual, small = (4096, 1) if device.type == "cpu" else (8192, 16)
    side = side or usual
    left, right = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    image = torch.ones(small, 256, 64, 64, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.ones(256, 256, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        took = in_turns(
            {"product": lambda: left @ right, "convolution": lambda: F.conv2d(image, kernel, padding=1)},
            5,
            warm_up=2,
            device=device,
        )
    return max(2 * side**3 / took["product"], 2 * small * 256 * 256 * 9 * 64 * 64 / took["convolution"])


def peak_memory(device: torch.device) -> int:
    """Bytes: reserved on an accelerator, else resident in this process, at most so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return resident_peak(Path("/proc/self/status")) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident_peak(status: Path) -> int:
    """Bytes that a process had resident at most, from its `/proc` status (`ru_maxrss` starts at the parent's); 0 where
    there is none."""
    try:
        lines = status.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures belong to."""
    found = describe_machine(device)
    print(
        f"{found['device']}, {found['processor']}, {found['processors']} processors, {found['memory_gb']} GB, "
        f"torch {found['torch']}"
    )
    return found


def benchmark_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="auto", help="as training.device (default: auto)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there")
    return parser


def draw_files(folder: Path, count: int, domain: Literal["photo", "painting"] = "photo") -> list[Path]:
    """Writes drawn pictures of 256×256."""
    paths = [folder / f"{index:04d}.jpg" for index in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    for index, path in enumerate(paths):
        draw(0, domain, index).save(path, quality=95)
    return paths


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table, as docs/performance.md has it."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")


def write_json(path: Path | None, values: dict[str, Any]) -> None:
    """Keeps the figures where a path is given."""
    if path:
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
