"""Small real data and settings that many tests share."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monet.clock import Clock
from monet.context import Context
from monet.interrupts import Interrupts
from pipelines._start import ENDING_SIGNALS

torch.set_num_threads(1)  # the networks here are tiny: threads would wait for each other more than they work

TINY = [
    *("--data.samples_per_epoch", "8", "--data.load_size", "40", "--data.crop_size", "32"),
    *("--model.width", "4", "--model.residual_blocks", "1", "--model.discriminator_width", "4"),
    *("--training.batch_size", "2", "--training.pool_size", "4", "--training.device", "cpu"),
    *("--training.precision", "fp32"),
]
"""Settings under which a step takes milliseconds."""

TINY_SETTINGS = {name.removeprefix("--"): value for name, value in zip(TINY[::2], TINY[1::2], strict=True)}
"""The same by their names, as the Python API takes them."""

REAL_DATA = Path(__file__).parents[2] / "shared" / "data" / "gan-getting-started"

needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the competition's data is not at {REAL_DATA}")


class FakeClock:
    """A clock that only moves when it is told to, by any thread."""

    def __init__(self) -> None:
        self.now = 100.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A smooth random picture of (width, height)."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def fill_folder(folder: Path, count: int, first_seed: int, size: tuple[int, int] = (64, 64)) -> Path:
    """Writes JPEG files `0.jpg`, `1.jpg`, … into a new folder."""
    folder.mkdir(parents=True)
    for index in range(count):
        picture(first_seed + index, size).save(folder / f"{index}.jpg", quality=95)
    return folder


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Whatever listens for signals in a test does so no longer after it."""
    earlier = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    hook = sys.unraisablehook
    yield
    sys.unraisablehook = hook
    for number, handler in earlier.items():
        signal.signal(number, handler)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A named pipe that nobody writes to; who waits for it is let go after a while, so that the test fails."""
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # finds the pipe wherever it was moved to

    def let_go() -> None:
        with contextlib.suppress(OSError):
            os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK))

    timer = threading.Timer(10, let_go)
    timer.start()
    yield path
    timer.cancel()
    os.close(descriptor)


def context_of(folder: Path, clock: Clock, *, interrupts: Interrupts | None = None) -> Context:
    """Surroundings of a run that begins now, on a clock of its own, with its caches in a folder."""
    return Context(
        clock=clock,
        started=clock(),
        now=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        cache_folder=folder,
        weights_folder=folder,
        interrupts=interrupts or Interrupts(),
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in the CycleGAN layout: 12 photos to learn from, 6 to paint, 5 paintings."""
    folder = tmp_path_factory.mktemp("tiny")
    fill_folder(folder / "trainA", 12, 0)
    fill_folder(folder / "trainB", 5, 100)
    fill_folder(folder / "testA", 6, 200)
    return folder


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights in the released file's format, whole up to the layer of 768."""
    from tests.gpu.inception import random_weights as write

    return write(tmp_path_factory.mktemp("weights"))
