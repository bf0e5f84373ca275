"""Commands, called as a user would, in this process or in one of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import pipelines
from pipelines._command import run_command

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _signals(own_signals: None) -> None:
    """Commands listen for signals; tests continue afterwards."""


@pytest.fixture(autouse=True, scope="session")
def _no_weights_at_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever the machine's own caches hold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
        yield


def command(name: str, *words: object) -> int:
    """Runs a command in this process, which begins now; returns its exit code."""
    pipelines.STARTED = time.monotonic()
    return run_command(import_module(f"pipelines.{name}").main, [str(word) for word in words])


def _hear_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


AS_IN_A_TERMINAL = None if sys.platform == "win32" else _hear_signals
"""What a process that is started does first: it hears the signals that the tests, under nohup perhaps, do not."""


def started(name: str, *words: object, cwd: Path, threads: int = 1) -> subprocess.Popen[str]:
    """Starts a command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads), "HOME": str(cwd)}
    return subprocess.Popen(
        [sys.executable, "-m", f"pipelines.{name}", *map(str, words)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=AS_IN_A_TERMINAL,
    )


def finish(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    """Waits for the end of a command; returns its stdout and stderr."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    return out, err
