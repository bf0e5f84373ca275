"""The whole way: trained, painted, checked and scored, as a user would have it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.measure import draw_files
from tests.gpu.engine import TINY, config_of
from tests.gpu.part import Found, Place, require

SPARE = 15.0
"""Seconds of a part's time that the command's budget leaves."""


def submit(place: Place) -> Found:
    """Runs `pipelines.submit` with recipe `kaggle` for the time that is left, on all GPUs; if that fails, on one, from
    the last checkpoint on. An earlier try in the same folder is resumed, too."""
    begun, count = time.monotonic(), torch.cuda.device_count() if place.cuda else 1
    code, said = _command(place, max(1, count), place.seconds - SPARE)
    if code and count > 1:
        left = place.seconds - SPARE - (time.monotonic() - begun)
        again = read(*_command(place, 1, left))
        require(False, f"{count} GPUs: exit code {code}; then on one of them: {again.line}")
    return read(code, said)


def _command(place: Place, processes: int, budget: float) -> tuple[int, str]:
    """Runs the command; returns its exit code and what it says."""
    words = ["--data", _data(place), "--run", place.out / "kaggle", "--recipe", "kaggle", "--resume"]
    words += ["--budget", f"{budget:.0f}s", *_scoring(place)]
    words += [*TINY, "--training.epochs", "1", "--data.samples_per_epoch", "4"] if place.tiny else []
    if processes > 1:
        training = config_of(place, "kaggle").training
        for name in ("batch_size", "accumulation"):
            words += [f"--training.{name}", str(max(1, getattr(training, name) // processes))]
    else:
        words += ["--training.device", place.device]
    several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m", "--"]
    call = [sys.executable, "-m", *(several if processes > 1 else []), "pipelines.submit", *map(str, words)]
    process = subprocess.run(call, stdout=subprocess.PIPE, text=True)
    print(process.stdout)
    return process.returncode, process.stdout


def read(code: int, said: str) -> Found:
    """What the command's lines say.

    Raises:
        Refuted: the archive is not valid, the command failed, or it was late.
    """
    require(code == 0, f"pipelines.submit ends with exit code {code}: the log says why")
    late = re.search(r"^warning: (late by .*)", said, re.MULTILINE)
    require(late is None, f"pipelines.submit was {late[1] if late else ''}")
    wanted = ("trained on", "wrote", "MiFID", "not scored")
    lines = [line for line in said.splitlines() if line.startswith(wanted)]
    require(len(lines) >= 3, f"pipelines.submit says only: {said.strip()[:200]}")
    return Found("; ".join(re.sub(r"wrote \S*/", "wrote ", line) for line in lines), {"lines": lines})


def _data(place: Place) -> Path | str:
    """The data set; tiny ones are drawn."""
    if not place.tiny or place.data != "demo":
        return place.data
    for name, count in (("trainA", 4), ("trainB", 3), ("testA", 4)):
        draw_files(place.out / "tiny" / name, count, "painting" if name == "trainB" else "photo")
    return place.out / "tiny"


def _scoring(place: Place) -> list[Any]:
    """With the given weights, up to the layer that they reach; else with the released ones, if they can be had."""
    if place.weights:
        from tests.gpu.inception import extractor

        layer = extractor(place).layer
        return ["--score", "yes", "--inception-weights", place.weights, "--feature-layer", layer]
    return ["--score", "no"] if place.tiny else ["--score", "yes"]
