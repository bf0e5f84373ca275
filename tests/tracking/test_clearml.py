"""ClearML's own package: its offline session read back, and a server that answers as ClearML's does."""

from __future__ import annotations

import json
import logging
import math
import shlex
import socket
import subprocess
import sys
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
    tracking.artifacts(report, run / "scores.jsonl")
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
    assert [artifact["key"] for artifact in task["execution"]["artifacts"]] == ["report.html"]
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


def test_the_printed_command_brings_the_sessions_of_two_processes_into_one_task(
    clearml_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path("it's mine")
    track(run, range(1, 4))
    track(run, range(4, 7))
    command = caplog.messages[-1].partition("import it with: ")[2]
    server = Server()
    try:
        for name in ("API", "WEB", "FILES"):
            monkeypatch.setenv(f"CLEARML_{name}_HOST", server.address)
        monkeypatch.setenv("CLEARML_API_ACCESS_KEY", "key")
        monkeypatch.setenv("CLEARML_API_SECRET_KEY", "word")
        words = shlex.split(command)
        assert words[:2] == ["python", "-c"]
        done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    finally:
        server.close()
    reported = {event["task"] for event in server.events if event["type"] == "training_stats_scalar"}
    assert len(reported) == 1
    losses = {pairs for name, pairs in scalars(server.events) if name == "loss/generator"}
    assert losses == {2, 6, 8, 12}
    assert server.tasks[reported.pop()]["status"] == "completed"


def test_a_run_that_goes_on_goes_on_in_the_same_task(clearml_server: Server, tmp_path: Path) -> None:
    run = tmp_path / "first"
    track(run, range(1, 4), online=True, ending="stopped")
    (task,) = clearml_server.tasks.values()
    assert task["status"] == "stopped"
    track(run, range(4, 7), online=True)
    (task,) = clearml_server.tasks.values()
    assert task["status"] == "completed"
    assert {pairs for name, pairs in scalars(clearml_server.events) if name == "loss/generator"} == {2, 6, 8, 12}
    assert {model["name"] for model in clearml_server.models.values()} == {"epoch-0003.pt", "epoch-0006.pt"}
    assert sum(b"weights" in upload for upload in clearml_server.uploads) == 2
    assert any(b"<p>scores</p>" in upload for upload in clearml_server.uploads)


def test_what_was_kept_offline_comes_along_when_there_is_a_server(
    clearml_home: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = tmp_path / "first"
    track(run, range(1, 4))
    server = request.getfixturevalue("clearml_server")
    track(run, range(4, 7), online=True)
    assert len({event["task"] for event in server.events if event["type"] == "training_stats_scalar"}) == 1
    assert {pairs for name, pairs in scalars(server.events) if name == "loss/generator"} == {2, 6, 8, 12}


def test_a_run_that_fails_is_marked_so(clearml_server: Server, tmp_path: Path) -> None:
    track(tmp_path / "first", range(1, 3), online=True, ending="failed")
    assert [task["status"] for task in clearml_server.tasks.values()] == ["failed"]


def test_a_server_that_does_not_answer_means_offline(
    clearml_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    monkeypatch.setenv("CLEARML_API_HOST", address)
    track(tmp_path / "first", range(1, 3), online=True)
    assert f"clearml: {address} does not answer: tracking offline" in caplog.messages
    with session(tmp_path / "first") as archive:
        assert "metrics.jsonl" in archive.namelist()


def test_clearml_that_is_not_installed_is_said_once(
    clearml_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    absent = tmp_path / "absent" / "clearml"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(absent.parent))
    track(tmp_path / "first", range(1, 3))
    assert caplog.messages == ["clearml: is not installed: pip install clearml; the run goes on without it"]


def test_numbers_that_are_no_numbers_are_no_trouble(
    clearml_home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracking = Tracking(["clearml"], {}, lambda: 0.0, {"completed": 60})
    tracking.begin(tmp_path / "first", SETTINGS, {}, 0)
    tracking.step(step(1, math.nan))
    tracking.end("completed")
    assert [message for message in caplog.messages if "import it with" not in message] == []
