"""Commands with ClearML's own package beside them, in processes of their own, and what is left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.pipelines.conftest import ROOT, finish, started

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


def kept_pairs(run: Path) -> list[int]:
    """The points of the offline session."""
    (path,) = (run / "tracking" / "clearml" / "offline").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        events = [event for line in archive.read("metrics.jsonl").splitlines() for event in json.loads(line)]
    return sorted({event["iter"] for event in events if event["metric"] == "loss"})


def test_a_run_that_is_told_to_end_and_resumed_is_tracked_from_its_first_pair_to_its_last(
    clearml_home: Path, tiny_data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--data", tiny_data, "--run", run, *TINY, "--tracking", "clearml", "--training.epochs"]
    first = started("train", *words, 2000, cwd=tmp_path)
    until = time.monotonic() + 90
    while not list((run / "tracking").rglob("metrics.jsonl")) and time.monotonic() < until:
        time.sleep(0.1)  # ClearML writes what it was told every few seconds
    os.kill(first.pid, signal.SIGTERM)
    _, err = finish(first, 143)
    assert err.count("clearml: offline; import it, from the run's folder, with: python -c ") == 1
    stopped = kept_pairs(run)
    assert stopped[0] == 2
    epochs = stopped[-1] // 8 + 2
    finish(started("train", *words, epochs, "--resume", cwd=tmp_path), 0)
    whole = kept_pairs(run)
    assert whole[: len(stopped)] == stopped
    assert whole[-1] == 8 * epochs


def test_only_the_first_of_several_processes_is_tracked(clearml_home: Path, tiny_data: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    words = ["--data", tiny_data, "--run", "run", *TINY, "--training.epochs", 2, "--tracking", "clearml"]
    done = subprocess.run(
        [*torchrun, "pipelines.submit", *map(str, words), "--score", "no"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("clearml: ") == 1
    assert kept_pairs(tmp_path / "run")[-1] == 16
