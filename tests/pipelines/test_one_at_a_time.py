"""Two commands with one run's folder: the second one is refused, and a killed one stops nobody."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from monet.run_folder.folder import RunFolder
from monet.tracking.process import TrackerProcess
from monet.tracking.tracker import RunInfo
from tests.conftest import TINY
from tests.pipelines.conftest import command, started
from tests.pipelines.test_signals import wait_for
from tests.tracking import hostile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_a_second_command_in_a_runs_folder_is_refused_and_a_killed_one_stops_nobody(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ("--data", tiny_data, "--run", run, *TINY, "--training.save_every", "1", "--training.epochs")
    first = started("train", *words, "100000", cwd=tmp_path)
    try:
        wait_for(run / "checkpoints" / "epoch-0001.pt", first)
        first.send_signal(signal.SIGSTOP)
        before = contents(run)
        for name, *rest in (
            ("train", *words, "1", "--resume"),
            ("submit", *words, "1"),
            ("submit", *words, "1", "--resume"),
        ):
            assert command(str(name), *rest) == 2
            error = capsys.readouterr().err
            assert f"{run} is in use by process {first.pid} on " in error
            assert "(python -m pipelines.train --data " in error
            assert error.count("\n") == 1
        assert contents(run) == before
    finally:
        first.kill()
        first.communicate()
    assert (run / ".lock").exists()
    assert command("train", *words, "1", "--resume") == 0
    assert not (run / ".lock").exists()


def test_a_command_that_fails_lets_others_in_again(tiny_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert command("train", "--data", tmp_path / "nowhere", "--run", run, *TINY, "--training.epochs", "1") == 2
    assert not run.exists()
    assert command("train", "--data", tiny_data, "--run", run, *TINY, "--training.epochs", "1") == 0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux shows a process's open files")
def test_a_tracker_that_outlives_its_run_does_not_keep_the_lock(tmp_path: Path) -> None:
    release = RunFolder(tmp_path).hold({})
    opening = RunInfo(
        name="slow", run="run", folder=tmp_path / "tracking", settings={}, facts={}, pairs=0, online=False
    )
    tracker = TrackerProcess(hostile.hangs_for_a_minute, opening)
    assert tracker._process is not None
    try:
        files = Path(f"/proc/{tracker._process.pid}/fd")
        assert not any(file.readlink().name == ".lock" for file in files.iterdir() if file.is_symlink())
    finally:
        tracker._process.kill()
        tracker._process.wait()
        release()
