"""Trackers that do everything wrong, in the processes that real ones have, beside a run that takes no notice."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monet import checkpoint
from monet.config import TRACKERS
from monet.errors import Interrupted
from monet.tracking import tracking
from monet.tracking.process import TrackerProcess
from monet.tracking.tracker import OpenTracker, RunInfo, Scalars
from monet.tracking.tracking import Tracking
from monet.training.events import StepEvent
from tests.conftest import TINY
from tests.pipelines.conftest import ROOT, command
from tests.tracking import hostile
from tests.training.comparison import differences

pytestmark = pytest.mark.usefixtures("own_signals")

RUN = [*TINY, "--training.epochs", "2", "--training.save_every", "1", "--score", "no"]
BAD: dict[str, tuple[OpenTracker, str]] = {
    "raises at once": (hostile.raises_at_once, "cannot be used (RuntimeError: no such server); the run continues"),
    "is missing": (hostile.is_missing, "is not installed: pip install hostile"),
    "exits at once": (hostile.exits_at_once, "cannot be used (SystemExit: 3); the run continues"),
    "is killed": (hostile.is_killed, "ended early; the run is whole without it"),
    "hangs for a minute": (hostile.hangs_for_a_minute, "has not taken everything yet and continues by itself"),
    "holds the interpreter": (hostile.holds_the_interpreter, "has not taken everything yet"),
    "raises every time": (hostile.raises_every_time, "ConnectionError: the server is gone; any more of its trouble"),
    "has no room": (hostile.has_no_room, "cannot be used (OSError: [Errno 28] No space left on device)"),
}


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "monet")


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The trackers' processes; what is left of them is ended after the test."""
    processes: list[subprocess.Popen[bytes]] = []
    start = TrackerProcess._started

    def noting(self: TrackerProcess) -> subprocess.Popen[bytes]:
        processes.append(start(self))
        return processes[-1]

    monkeypatch.setattr(TrackerProcess, "_started", noting)
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def info(folder: Path) -> RunInfo:
    return RunInfo(name="clearml", run="first", folder=folder, settings={}, facts={}, pairs=0, online=False)


def step(number: int) -> StepEvent:
    return StepEvent(number, number, 0.1, 2e-4, {"generator": 1.0}, 1.0, 4.0, 1.0)


@pytest.fixture(scope="module")
def untracked(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no tracker follows."""
    run = tmp_path_factory.mktemp("runs") / "untracked"
    assert command("submit", "--data", tiny_data, "--run", run, *RUN) == 0
    return run


def assert_same_run(one: Path, other: Path) -> None:
    """Everything but the times and the tracking itself."""
    first, second = (checkpoint.load(run / "checkpoints" / "last.pt") for run in (one, other))
    for contents in (first, second):
        contents["counters"].pop("seconds")
        contents["config"].pop("tracking")
    assert differences(first, second) == []
    assert (one / "images.zip").read_bytes() == (other / "images.zip").read_bytes()
    steps = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (one, other)]
    assert [(step["pairs"], step["losses"]) for step in steps[0]] == [
        (step["pairs"], step["losses"]) for step in steps[1]
    ]


@pytest.mark.parametrize("trouble", BAD)
def test_a_bad_tracker_changes_nothing_of_a_run_and_is_mentioned_once(
    trouble: str,
    untracked: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    open_tracker, said = BAD[trouble]
    monkeypatch.setitem(tracking.OPENERS, "clearml", open_tracker)
    monkeypatch.setattr(tracking, "_PATIENCE", dict.fromkeys(("completed", "stopped", "failed"), 5.0))
    run, begun = tmp_path / "run", time.monotonic()
    assert command("submit", "--data", tiny_data, "--run", run, *RUN, "--tracking", "clearml") == 0
    assert time.monotonic() - begun < 40  # a minute of hanging is not waited for
    told = [line for line in capsys.readouterr().err.splitlines() if "clearml:" in line]
    assert len(told) == 1
    assert said in told[0]
    assert_same_run(untracked, run)


def test_a_tracker_whose_folder_cannot_be_written_changes_nothing(
    untracked: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "tracking").write_text("in the way")
    words = ["submit", "--data", tiny_data, "--run", run, *RUN, "--tracking", "clearml,tensorboard", "--resume"]
    assert command(*map(str, words)) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if ": cannot be started" in line]
    assert [line.split(":")[0].split()[-1] for line in told] == ["clearml", "tensorboard"]
    assert_same_run(untracked, run)


def test_a_good_tracker_is_told_everything_beside_a_bad_one(
    untracked: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tracking.OPENERS, "clearml", hostile.writes_down)
    monkeypatch.setitem(tracking.OPENERS, "wandb", hostile.hangs_for_a_minute)
    monkeypatch.setattr(tracking, "_PATIENCE", {"completed": 5.0})
    run = tmp_path / "run"
    assert command("submit", "--data", tiny_data, "--run", run, *RUN, "--tracking", "wandb,clearml") == 0
    told = (run / "tracking" / "told.txt").read_text().splitlines()
    assert [line for line in told if not line.startswith("scalars")] == [
        "picture 8 samples epoch-0001.png",
        "model 8 epoch-0001.pt",
        "picture 16 samples epoch-0002.png",
        "model 16 epoch-0002.pt",
        "picture 16 generated generated.png",
        "summary images valid",
        "artifact report.html",
        "artifact curves.png",
        "close completed",
    ]
    numbers = [line.split()[2:] for line in told if line.startswith("scalars")]
    assert all({"learning_rate", "loss/generator", "progress"} <= set(names) for names in numbers)
    assert [line for line in told if line.startswith("scalars")][-1].split()[1] == "16"
    assert_same_run(untracked, run)


def test_a_score_is_told_with_its_layer(
    tiny_data: Path, random_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tracking.OPENERS, "clearml", hostile.writes_down)
    run = tmp_path / "run"
    words = [*RUN[:-2], "--tracking", "clearml", "--score", "yes", "--feature-layer", "64"]
    assert command("submit", "--data", tiny_data, "--run", run, *words, "--inception-weights", random_weights) == 0
    told = (run / "tracking" / "told.txt").read_text().splitlines()
    assert "summary FID, layer 64 MiFID, layer 64 memorization distance, layer 64" in told
    assert [line for line in told if line.startswith("artifact")] == [
        "artifact report.html",
        "artifact scores.jsonl",
        "artifact curves.png",
    ]


def test_a_run_that_goes_on_tracks_on_and_is_remembered(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(tracking.OPENERS, "clearml", hostile.writes_down)
    run = tmp_path / "run"
    for words in (
        ["--tracking", "clearml"],
        ["--resume", "--training.epochs", "3"],
        ["--resume", "--tracking", "none"],
    ):
        assert command("train", "--data", tiny_data, "--run", run, *RUN[:-2], *words) == 0
    told = [line.split("clearml: ")[1] for line in capsys.readouterr().err.splitlines() if "clearml: " in line]
    assert told == ["told of run, which remembers {}", "told of run, which remembers {'times': 1}"]


@pytest.mark.parametrize(("error", "ending"), [(Interrupted(2), "stopped"), (ValueError("x"), "failed")])
def test_a_run_that_does_not_end_well_says_so(
    error: BaseException, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tracking.OPENERS, "clearml", hostile.writes_down)
    followed = Tracking(["clearml"])
    followed.begin(tmp_path / "run", {}, {}, 0)

    def fail() -> None:
        with followed.until_the_end():
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (tmp_path / "run" / "tracking" / "told.txt").read_text() == f"close {ending}\n"


def test_the_end_waits_no_longer_than_the_deadline_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tracking.OPENERS, "clearml", hostile.hangs_for_a_minute)
    followed = Tracking(["clearml"])
    followed.begin(tmp_path / "run", {}, {}, 0)
    begun = time.monotonic()
    followed.end("completed", left=3.0)
    assert 1.0 < time.monotonic() - begun < 3.0


def test_a_process_late_already_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tracking.OPENERS, "clearml", hostile.hangs_for_a_minute)
    followed = Tracking(["clearml"])
    followed.begin(tmp_path / "run", {}, {}, 0)
    begun = time.monotonic()
    followed.end("completed", left=-5.0)
    assert time.monotonic() - begun < 0.5


def test_a_signal_while_the_end_waits_ends_the_waiting_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(tracking.OPENERS, "clearml", hostile.hangs_for_a_minute)

    def stop(number: int, _: object) -> None:
        raise Interrupted(number)

    signal.signal(signal.SIGTERM, stop)
    for ending, code in (("completed", 0), ("failed", 143)):
        followed = Tracking(["clearml"])
        followed.begin(tmp_path / ending, {}, {}, 0)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        begun = time.monotonic()
        try:
            followed.end(ending)  # type: ignore[arg-type]
            ended = 0
        except Interrupted as error:
            ended = error.exit_code
        assert ended == code
        assert time.monotonic() - begun < 3.0
    assert "no longer waiting for the trackers" in caplog.messages


def test_a_later_process_waits_for_the_tracker_of_an_earlier_one(tmp_path: Path) -> None:
    first = TrackerProcess(hostile.closes_slowly, info(tmp_path / "tracking"))
    first.send(Scalars(1, {}))
    first.finish("stopped")
    assert not first.wait(0.5)
    second = TrackerProcess(hostile.closes_slowly, info(tmp_path / "tracking"))
    second.finish("completed")
    assert second.wait(20.0)
    assert first.wait(0.0)
    assert json.loads((tmp_path / "tracking" / "clearml.json").read_text()) == {"endings": ["stopped", "completed"]}


def test_a_tracker_that_lingers_can_be_ended(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    told = TrackerProcess(hostile.closes_slowly, info(tmp_path / "tracking"))
    told.finish("stopped")
    assert not told.wait(1.5)
    os.kill(started[0].pid, signal.SIGTERM)
    assert started[0].wait(5.0) == -signal.SIGTERM


def test_no_thread_more_is_no_reason_to_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    def start(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    told = TrackerProcess(hostile.writes_down, info(tmp_path / "tracking"))
    told.send(Scalars(1, {}))
    told.finish("completed")
    assert told.wait(1.0)
    assert told.said() == ["clearml: cannot be started: can't start new thread; the run continues without it"]
    assert started[0].wait(5.0) != 0


def test_every_tracker_that_can_be_named_can_be_started() -> None:
    assert set(tracking.OPENERS) == set(TRACKERS)


def test_two_trackers_that_hang_are_waited_for_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("clearml", "wandb"):
        monkeypatch.setitem(tracking.OPENERS, name, hostile.hangs_for_a_minute)
    followed = Tracking(["clearml", "wandb", "clearml"], patience={"completed": 2.0})
    followed.begin(tmp_path / "run", {}, {}, 0)
    begun = time.monotonic()
    followed.end("completed")
    assert 1.9 < time.monotonic() - begun < 3.5


def test_a_step_is_never_held_up_and_memory_stays_bounded_when_nobody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monet.tracking.process._MOST_WAITING", 2000)
    told = TrackerProcess(hostile.holds_the_interpreter, info(tmp_path / "tracking"))
    message, longest = Scalars(1, {f"loss/{number}": 1.0 for number in range(100)}), 0.0
    for _ in range(5000):  # 9 MB, far more than a pipe holds
        begun = time.perf_counter()
        told.send(message)
        longest = max(longest, time.perf_counter() - begun)
    assert longest < 0.5
    assert told._waiting.qsize() <= 2000
    assert told._lost >= 2900


@pytest.mark.parametrize("environment", [{}, {"PYTHONSAFEPATH": "1"}, {"PYTHONNOUSERSITE": "1"}], ids=str)
def test_a_tracker_finds_the_package_where_its_run_did_and_nothing_in_the_working_folder(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """As in a notebook, which puts the folder of the software on its own path alone."""
    (tmp_path / "software").symlink_to(ROOT)
    (tmp_path / "work").mkdir()
    for name in ("pickle", "clearml", "monet", "tests"):
        (tmp_path / "work" / f"{name}.py").write_text("raise ImportError('of the working folder')")
    (tmp_path / "notebook.py").write_text(f"""
import sys
sys.path.insert(0, {str(tmp_path / "software")!r})
from pathlib import Path
from monet.tracking.process import TrackerProcess
from monet.tracking.tracker import RunInfo
from tests.tracking import hostile
info = RunInfo(name="clearml", run="r", folder=Path("t"), settings={{}}, facts={{}}, pairs=0, online=False)
told = TrackerProcess(hostile.writes_down, info)
told.finish("completed")
assert told.wait(20.0)
print(told.said())
""")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        [sys.executable, tmp_path / "notebook.py"],
        cwd=tmp_path / "work",
        env=inherited | environment,
        capture_output=True,
        text=True,
    )
    assert (ended.stdout, ended.stderr) == ("['clearml: told of r, which remembers {}']\n", "")
    assert (tmp_path / "work" / "t" / "told.txt").read_text() == "close completed\n"


def test_a_killed_run_leaves_a_tracker_that_ends_in_order(tmp_path: Path) -> None:
    script = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from monet.tracking.process import TrackerProcess
from monet.tracking.tracker import RunInfo, Scalars
from tests.tracking import hostile
info = RunInfo(name="clearml", run="r", folder=Path("t"), settings={{}}, facts={{}}, pairs=0, online=False)
told = TrackerProcess(hostile.writes_down, info)
told.send(Scalars(4, {{"loss/cycle_a": 1.0}}))
while not Path("t/told.txt").exists():
    time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert ended.returncode == -signal.SIGKILL
    assert eventually(lambda: "close stopped" in (tmp_path / "t" / "told.txt").read_text())


def test_a_terminals_signals_do_not_reach_a_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setitem(tracking.OPENERS, "clearml", hostile.writes_down)
    followed = Tracking(["clearml"])
    followed.begin(tmp_path / "run", {}, {}, 0)
    followed.step(step(1))
    assert eventually(lambda: (tmp_path / "run" / "tracking" / "told.txt").exists())
    assert os.getpgid(started[0].pid) != os.getpgid(0)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(started[0].pid, number)
    followed.end("completed")
    assert (tmp_path / "run" / "tracking" / "told.txt").read_text().endswith("close completed\n")


def test_numbers_are_the_means_of_about_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(TrackerProcess, "send", lambda self, message: sent.append(message))
    now = [0.0]
    followed = Tracking(["clearml"], clock=lambda: now[0], patience={"completed": 0.0})
    followed.begin(tmp_path / "run", {}, {}, 0)
    for number, loss in enumerate([1.0, 2.0, 6.0, 3.0], start=1):
        now[0] += 0.5
        followed.step(StepEvent(number, number, 0.1, 2e-4, {"generator": loss}, 1.0, 4.0, 1.0))
    followed.end("completed")
    numbers = [(message.pairs, message.values["loss/generator"]) for message in sent if isinstance(message, Scalars)]
    assert numbers == [(1, 1.0), (3, 4.0), (4, 3.0)]


def eventually(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.05)
    return False
