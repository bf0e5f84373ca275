"""A studio in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import fill_folder
from tests.pipelines.conftest import AS_IN_A_TERMINAL

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Started:
    """A studio that can be opened."""

    address: str
    process: subprocess.Popen[str]
    log: Path
    run: Path


def studio_process(words: Sequence[object], log: Path, **surroundings: str) -> subprocess.Popen[str]:
    """Starts a studio on a free port."""
    command = [sys.executable, "-m", "pipelines.studio", "--port", "0", "--device", "cpu", *map(str, words)]
    with open(log, "w") as errors:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **surroundings},
            preexec_fn=AS_IN_A_TERMINAL,
        )


@contextlib.contextmanager
def studio(words: Sequence[object], log: Path, **surroundings: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Starts a studio on a free port; ends it by a signal, as a service is ended."""
    process = studio_process(words, log, **surroundings)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("studio at http://"), log.read_text()
        yield line.removeprefix("studio at ").strip(), process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def started(painter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("studio")
    photos = fill_folder(folder / "photos", 5, 300, (256, 256))
    words = ["--run", painter, "--photos", photos, "--max-megapixels", "4", "--max-mb", "5"]
    with studio(words, folder / "log") as (address, process):
        yield Started(address, process, folder / "log", painter)


@pytest.fixture(scope="module")
def client(started: Started) -> Any:
    from gradio_client import Client

    return Client(started.address, verbose=False)
