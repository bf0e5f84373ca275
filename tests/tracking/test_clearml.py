"""ClearML's own package: its offline session read back, and a server that answers as ClearML's does."""

from __future__ import annotations

import json
import logging
import math
import shlex
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from monet.tracking.tracking import Tracking
from monet.training.events import StepEvent
from tests.conftest import picture
from tests.tracking.conftest import Server

SETTINGS: dict[str, Any] = {"model": {"width": 8, "norm": "instance"}, "budget": None, "tracking": ["clearml"]}


def step(number: int, loss: float) -> StepEvent:
    return StepEvent(number, 2 * number, number / 10, 2e-4, {"generator": loss}, float(number), 4.0, 1.0)


def track(run: Path, steps: range, *, online: bool = False, ending: str = "completed") -> None:
    """What a run of so many steps tells ClearML."""
    now = [0.0]
    tracking = Tracking(
        ["clearml"], {"clearml": online}, lambda: now[0], {"completed": 60, "stopped": 60, "failed": 60}
    )
    first = 2 * (steps.start - 1)
    tracking.begin(run, SETTINGS, {"torch": "2.15"}, first)
    for number in steps:
        now[0] += 0.6
        tracking.step(step(number, float(number)))
        sample = run / "samples" / f"epoch-{number:04d}.png"
        sample.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(sample)
        tracking.picture(2 * number, "samples", sample)
    checkpoint, report = run / "checkpoints" / f"epoch-{steps[-1]:04d}.pt", run / "report.html"
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.write_bytes(b"weights")
    report.write_text("<p>scores</p>")
    tracking.model(2 * steps[-1], checkpoint)
    own = run / f"report-{steps[-1]}.txt"
    own.write_text("of this process")
    tracking.artifacts(report, own, run / "scores.jsonl")
    tracking.summary({"MiFID": 1.5})
    tracking.end(ending)  # type: ignore[arg-type]


def session(run: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next((run / "tracking").rglob("*.zip")))


def scalars(events: list[dict[str, Any]]) -> dict[tuple[str, int], float]:
    return {
        (f"{event['metric']}/{event['variant']}", event["iter"]): event["value"]
        for event in events
        if event["type"] == "training_stats_scalar"
    }


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_the_offline_session_holds_scalars_images_settings_models_and_artifacts(
    clearml_home: Path, tmp_path: Path
) -> None:
    run = tmp_path / "first"
    track(run, range(1, 9))
    with session(run) as archive:
        task = json.loads(archive.read("task.json"))
        events = [event for line in archive.read("metrics.jsonl").splitlines() for event in json.loads(line)]
        names = archive.namelist()
        report = archive.read(next(name for name in names if name.endswith("/report.html")))
        sizes = {Path(name).name: archive.getinfo(name).file_size for name in names}
    assert (task["project_name"], task["name"]) == ("monet", "first")
    found = scalars(events)
    # A number a second: the first step at once, then the mean of every two.
    losses = {pairs: value for (name, pairs), value in found.items() if name == "loss/generator"}
    assert losses == {2: 1.0, 6: 2.5, 10: 4.5, 14: 6.5, 16: 8.0}
    assert found["pairs_per_second/pairs_per_second", 6] == 4.0
    assert [value for (name, _), value in found.items() if name == "Summary/MiFID"] == [1.5]
    images = {event["iter"]: Path(event["url"]).name for event in events if event["type"] == "training_debug_image"}
    assert sorted(images) == list(range(2, 17, 2))  # ClearML's own names would keep the last five
    assert all(sizes[name] > 1000 for name in images.values())
    settings = {name: entry["value"] for name, entry in task["hyperparams"]["settings"].items()}
    assert settings["model.width"] == "8"
    assert settings["model.norm"] == "instance"
    assert 'norm = "instance"' in task["configuration"]["config"]["value"]
    assert 'torch = "2.15"' in task["configuration"]["environment"]["value"]
    assert [artifact["key"] for artifact in task["execution"]["artifacts"]] == ["report.html", "report-8.txt"]
    assert report == b"<p>scores</p>"
    (model,) = task["offline_output_models"]
    assert model["init"]["name"] == "epoch-0008.pt"
    assert model["weights"]["register_uri"] == (run / "checkpoints" / "epoch-0008.pt").as_uri()
    assert not any(name.endswith(".pt") for name in names)  # checkpoints are not kept twice
    assert str(Path.cwd()) not in json.dumps(task)


def test_only_the_archive_of_a_session_is_left(clearml_home: Path, tmp_path: Path) -> None:
    track(tmp_path / "first", range(1, 3))
    left = [path for path in (tmp_path / "first" / "tracking").rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in left) == [".json", ".log", ".zip"]


def imported(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Runs a command as it was printed, with a server and credentials for it."""
    server = Server()
    try:
        with monkeypatch.context() as patch:
            server.let_in(patch)
            words = shlex.split(command)
            assert words[:2] == ["python", "-c"]
            done = subprocess.run([sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    finally:
        server.close()
    return server


def assert_whole(server: Server) -> None:
    """The run of six steps is one task, with all that three and three of them told."""
    (task,) = server.tasks.values()
    assert task["status"] == "completed"
    assert {event["task"] for event in server.events} == {task["id"]}
    assert {pairs for name, pairs in scalars(server.events) if name == "loss/generator"} == {2, 6, 8, 12}
    images = {event["iter"] for event in server.events if event["type"] == "training_debug_image"}
    assert images == {2, 4, 6, 8, 10, 12}
    assert sum(b"\x89PNG" in upload for upload in server.uploads) == 6
    models = {model["name"]: model["task"] for model in server.models.values()}
    assert models == {"epoch-0003.pt": task["id"], "epoch-0006.pt": task["id"]}
    artifacts = {artifact["key"] for artifact in task["execution"]["artifacts"]}
    assert artifacts == {"report.html", "report-3.txt", "report-6.txt"}
    assert any(b"<p>scores</p>" in upload for upload in server.uploads)


def test_the_printed_command_brings_what_two_processes_kept_into_one_task_wherever_the_run_lies(
    clearml_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / 'it\'s my "Läufchen"'
    track(run, range(1, 4))
    (tmp_path / "elsewhere").mkdir()
    run = run.rename(tmp_path / "elsewhere" / "my own")
    track(run, range(4, 7))
    run = run.rename(tmp_path / "at home")
    assert len(list((run / "tracking").rglob("*.zip"))) == 1
    assert_whole(imported(caplog.messages[-1].partition("with: ")[2], run, monkeypatch))


def test_what_a_killed_process_kept_is_kept(
    clearml_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "first"
    end = Tracking.end

    def power_cut(self: Tracking, *_: object) -> None:
        self._send_numbers()
        (process,) = self._processes
        assert process._process
        written = run / "tracking" / "clearml" / "offline"
        until = time.monotonic() + 30
        while time.monotonic() < until and b"report-3.txt" not in b"".join(
            path.read_bytes() for path in written.rglob("task.json")
        ):
            time.sleep(0.1)
        time.sleep(6)  # ClearML writes numbers every few seconds
        process._process.kill()
        process._process.wait()

    monkeypatch.setattr(Tracking, "end", power_cut)
    track(run, range(1, 4))
    assert not list((run / "tracking").rglob("*.zip"))
    monkeypatch.setattr(Tracking, "end", end)
    track(run, range(4, 7))
    assert_whole(imported(caplog.messages[-1].partition("with: ")[2], run, monkeypatch))


def test_a_run_that_goes_on_goes_on_in_the_same_task(clearml_server: Server, tmp_path: Path) -> None:
    run = tmp_path / "first"
    track(run, range(1, 4), online=True, ending="stopped")
    (task,) = clearml_server.tasks.values()
    assert task["status"] == "stopped"
    track(run, range(4, 7), online=True)
    assert_whole(clearml_server)
    assert sum(b"weights" in upload for upload in clearml_server.uploads) == 2


def test_what_was_kept_offline_comes_along_when_there_is_a_server(
    clearml_home: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = tmp_path / "first"
    track(run, range(1, 4))
    server = request.getfixturevalue("clearml_server")
    track(run, range(4, 7), online=True)
    assert_whole(server)


def test_what_was_kept_and_is_gone_is_no_reason_not_to_go_on(
    clearml_server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "first"
    track(run, range(1, 4))
    next((run / "tracking").rglob("*.zip")).unlink()
    caplog.clear()
    track(run, range(4, 7), online=True)
    assert "kept offline, cannot be imported (" in caplog.messages[0]
    assert {pairs for name, pairs in scalars(clearml_server.events) if name == "loss/generator"} == {8, 12}


def test_a_run_that_fails_is_marked_so(clearml_server: Server, tmp_path: Path) -> None:
    track(tmp_path / "first", range(1, 3), online=True, ending="failed")
    assert [task["status"] for task in clearml_server.tasks.values()] == ["failed"]


@pytest.mark.parametrize("trouble", ["nobody there", "wrong key", "no key"])
def test_without_a_login_it_works_offline(
    trouble: str,
    clearml_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if trouble == "nobody there":
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            monkeypatch.setenv("CLEARML_API_HOST", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    elif trouble == "wrong key":
        clearml_server.refuses = True
    else:
        monkeypatch.delenv("CLEARML_API_SECRET_KEY")
        monkeypatch.delenv("CLEARML_API_ACCESS_KEY")
    track(tmp_path / "first", range(1, 3), online=True)
    assert caplog.messages[0].startswith("clearml: cannot log in (")
    assert caplog.messages[0].endswith("): tracking offline")
    assert len(caplog.messages) == 2
    with session(tmp_path / "first") as archive:
        assert b"generator" in archive.read("metrics.jsonl")
    assert clearml_server.tasks == {}


def test_clearml_that_is_not_installed_is_said_once(
    clearml_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    absent = tmp_path / "absent" / "clearml"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(absent.parent))
    track(tmp_path / "first", range(1, 3))
    assert caplog.messages == ["clearml: is not installed: pip install clearml; the run continues without it"]


def test_what_is_no_number_is_left_out_instead_of_shown_as_nought(clearml_home: Path, tmp_path: Path) -> None:
    tracking = Tracking(["clearml"], {}, lambda: 0.0, {"completed": 60})
    tracking.begin(tmp_path / "first", SETTINGS, {}, 0)
    tracking.step(step(1, math.nan))
    tracking.summary({"FID": math.inf, "MiFID": 2.0})
    tracking.end("completed")
    with session(tmp_path / "first") as archive:
        events = [event for line in archive.read("metrics.jsonl").splitlines() for event in json.loads(line)]
    found = {name for name, _ in scalars(events)}
    assert "loss/generator" not in found
    assert {"progress/progress", "Summary/MiFID"} <= found
    assert "Summary/FID" not in found
