"""`torchrun`, with two processes on the CPU."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from monet import checkpoint
from tests.conftest import TINY
from tests.pipelines.conftest import ROOT, command, finish

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")

DATA = ("--training.save_every", "2")


def launched(name: str, *words: object, cwd: Path) -> subprocess.Popen[str]:
    """Starts a command in two processes. The dashes keep torchrun from taking --run for an option of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(cwd)}
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"),
            *(f"pipelines.{name}", *map(str, words)),
        ],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def ours(err: str) -> list[str]:
    """What the commands said at their end, without torchrun's own report. A bar of a killed process has no end."""
    return re.findall(r"(?:process 1: )?(?:error|Ctrl-C|SIGTERM): (?![0-9<]).*", err)


@pytest.fixture(scope="module")
def finished(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two processes, with its output beside it."""
    folder = tmp_path_factory.mktemp("several")
    words = ("--data", tiny_data, "--run", folder / "run", *TINY, *DATA, "--training.epochs", "3")
    out, err = finish(launched("submit", *words, "--generation.batch_size", "2", cwd=folder), 0)
    (folder / "out.txt").write_text(out)
    (folder / "err.txt").write_text(err)
    return folder


def test_two_processes_make_one_valid_archive_with_the_bytes_that_one_would_make(
    finished: Path, tiny_data: Path, tmp_path: Path
) -> None:
    run = finished / "run"
    assert (finished / "out.txt").read_text().startswith("trained on 24 pairs in ")
    assert (finished / "out.txt").read_text().count("wrote ") == 1
    assert "training on cpu in fp32, 2 processes, 12 photos and 5 paintings" in (finished / "err.txt").read_text()
    assert ours((finished / "err.txt").read_text()) == []
    last, archive = run / "checkpoints" / "last.pt", tmp_path / "alone.zip"
    words = ("--photos", tiny_data / "testA", "--zip", archive, "--precision", "fp32", "--device", "cpu")
    assert command("generate", "--checkpoint", last, *words) == 0
    assert archive.read_bytes() == (run / "images.zip").read_bytes()


def test_the_run_is_that_of_one_process_with_the_double_batch(finished: Path, tiny_data: Path, tmp_path: Path) -> None:
    words = ("--data", tiny_data, "--run", tmp_path / "one", *TINY, *DATA, "--training.batch_size", "4")
    assert command("train", *words, "--training.epochs", "3") == 0
    two, one = metrics(finished / "run"), metrics(tmp_path / "one")
    assert [step["pairs"] for step in two] == [4, 8, 12, 16, 20, 24] == [step["pairs"] for step in one]
    for mine, theirs in zip(two, one, strict=True):
        assert [mine[key] for key in ("progress", "learning_rate")] == [
            theirs[key] for key in ("progress", "learning_rate")
        ]
        assert mine["losses"] == pytest.approx(theirs["losses"], rel=1e-3)
    names = {path.relative_to(finished / "run") for path in (finished / "run").rglob("*.pt")}
    assert names == {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.pt")}


def test_a_run_goes_on_with_another_number_of_processes(finished: Path, tiny_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("--data", tiny_data, "--run", run, *TINY, *DATA, "--resume", "--training.epochs")
    finish(launched("train", *words, "2", cwd=tmp_path), 0)
    assert command("train", *words, "3") == 0
    finish(launched("train", *words, "4", cwd=tmp_path), 0)
    assert [step["pairs"] for step in metrics(run)] == [4, 8, 12, 16, 18, 20, 22, 24, 28, 32]
    worlds = [process["world_size"] for process in json.loads((run / "environment.json").read_text())["processes"]]
    assert worlds == [2, 1, 2]
    assert checkpoint.load(run / "checkpoints" / "last.pt")["counters"]["pairs"] == 32


def test_two_processes_paint_with_a_checkpoint_that_is_named(finished: Path, tiny_data: Path, tmp_path: Path) -> None:
    before = (finished / "run" / "checkpoints" / "last.pt").read_bytes()
    words = ("--data", tiny_data, "--run", finished / "run", "--resume", "--paint-with", "last.pt")
    place = ("--zip", tmp_path / "images.zip", "--score", "no")
    out, _ = finish(launched("submit", *words, *place, cwd=tmp_path), 0)
    assert f"painted with {finished / 'run' / 'checkpoints' / 'last.pt'}" in out
    assert (tmp_path / "images.zip").read_bytes() == (finished / "run" / "images.zip").read_bytes()
    assert (finished / "run" / "checkpoints" / "last.pt").read_bytes() == before


def test_a_deadline_holds_for_all(tiny_data: Path, tmp_path: Path) -> None:
    words = ("--data", tiny_data, "--run", tmp_path / "run", *TINY, *DATA, "--budget", "35s")
    begun = time.monotonic()
    out, _ = finish(launched("submit", *words, cwd=tmp_path), 0)
    assert time.monotonic() - begun < 60  # torchrun's own start is not in the budget
    assert "6 images, valid as an archive of images" in out


def wait_for_steps(
    run: Path, process: subprocess.Popen[str], count: int, file: str = "checkpoints/epoch-0002.pt"
) -> list[int]:
    """Waits for a file and so many steps; returns the ids of the two processes, the first one first."""
    until = time.monotonic() + 90
    while not (run / file).exists() or len(metrics(run)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    workers = [child for child in psutil.Process(process.pid).children() if "pipelines.train" in child.cmdline()]
    return [child.pid for child in sorted(workers, key=lambda child: int(child.environ()["RANK"]))]


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_process_that_dies_ends_the_run_with_its_last_checkpoint_whole(
    tiny_data: Path, tmp_path: Path, rank: int
) -> None:
    run = tmp_path / "run"
    words = ("--data", tiny_data, "--run", run, *TINY, *DATA)
    process = launched("train", *words, "--training.epochs", "5000", cwd=tmp_path)
    os.kill(wait_for_steps(run, process, 8)[rank], signal.SIGKILL)
    _, err = finish(process, 1)
    (said,) = ours(err)
    assert said.startswith("error: " if rank else "process 1: error: ")
    assert "lost another process of this run" in said
    assert "--resume continues" in said
    pairs = checkpoint.load(run / "checkpoints" / "last.pt")["counters"]["pairs"]
    assert pairs >= 16
    if rank:  # the first one is left, and saves all that was trained together
        assert pairs == metrics(run)[-1]["pairs"]
    assert command("train", *words, "--training.epochs", str(pairs // 8 + 1), "--resume") == 0


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_signal_to_one_process_ends_all_with_a_save(tiny_data: Path, tmp_path: Path, rank: int) -> None:
    run = tmp_path / "run"
    process = launched("train", "--data", tiny_data, "--run", run, *TINY, "--training.epochs", "5000", cwd=tmp_path)
    os.kill(wait_for_steps(run, process, 8, "metrics.jsonl")[rank], signal.SIGTERM)
    finish(process, 1)
    last = checkpoint.load(run / "checkpoints" / "last.pt")
    assert last["counters"]["pairs"] == metrics(run)[-1]["pairs"] >= 32


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_to_torchrun_ends_the_run_with_a_save(tiny_data: Path, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    words = ("--data", tiny_data, "--run", run, *TINY, *DATA, "--training.epochs", "5000")
    process = launched("train", *words, cwd=tmp_path)
    workers = wait_for_steps(run, process, 8)
    for pid in workers if number == signal.SIGINT else []:
        os.kill(pid, number)  # as a terminal does, which sends Ctrl-C to all; torchrun then sends it once more
    process.send_signal(number)
    _, err = finish(process, 1)
    (said,) = ours(err)
    assert f"{run / 'checkpoints' / 'last.pt'} is saved: add --resume" in said
    assert checkpoint.load(run / "checkpoints" / "last.pt")["counters"]["pairs"] == metrics(run)[-1]["pairs"]


def test_a_mistake_is_said_once(tiny_data: Path, tmp_path: Path) -> None:
    _, err = finish(launched("submit", "--data", "nowhere", "--budget", "5m", cwd=tmp_path), 1)
    assert [line[:24] for line in ours(err)] == ["error: no folder nowhere"]
    _, err = finish(launched("validate", "images.zip", cwd=tmp_path), 1)
    assert "error: torchrun is for submit and train: start this command without it" in ours(err)
