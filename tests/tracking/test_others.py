"""W&B and TensorBoard: what they wrote, read back."""

from __future__ import annotations

import json
import logging
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monet.config import TrackerName
from monet.tracking.tracking import Tracking
from monet.training.events import StepEvent
from tests.conftest import picture

SETTINGS: dict[str, Any] = {"model": {"width": 8}, "budget": None}


def track(name: TrackerName, run: Path, pairs: list[int], *, online: bool = False) -> None:
    """What a run tells a tracker, a number at each of these points."""
    now = [0.0]
    tracking = Tracking([name], {name: online}, lambda: now[0], {"completed": 90.0})
    tracking.begin(run, SETTINGS, {"torch": "2.15", "odd": Path("x")}, pairs[0] - 2)
    for seen in pairs:
        now[0] += 2
        tracking.step(StepEvent(seen, seen, 0.1, 2e-4, {"cycle_a": seen / 2}, 1.0, 4.0, 1.0))
    sample, checkpoint = run / f"epoch-{pairs[-1]:04d}.png", run / "last.pt"
    picture(1).save(sample)
    checkpoint.write_bytes(b"weights")
    tracking.picture(pairs[-1], "samples", sample)
    tracking.model(pairs[-1], checkpoint)
    tracking.artifacts(sample)
    tracking.summary({"MiFID": 1.5})
    tracking.end("completed")


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture, clearml_home: Path) -> None:
    caplog.set_level(logging.INFO, "monet")


def test_tensorboard_holds_scalars_pictures_and_the_score(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "first"
    track("tensorboard", run, [2, 4, 6, 8])
    track("tensorboard", run, [6, 8, 10])  # killed, and resumed from pair 4
    assert (
        caplog.messages
        == [f"tensorboard: look at it with: tensorboard --logdir {run / 'tracking' / 'tensorboard'}"] * 2
    )
    events = EventAccumulator(str(run / "tracking" / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("loss/cycle_a")]
    assert losses == [(2, 1.0), (4, 2.0), (6, 3.0), (8, 4.0), (10, 5.0)]  # none twice
    assert [event.value for event in events.Scalars("result/MiFID")] == [1.5]
    (image,) = [event for event in events.Images("samples") if event.step == 10]
    assert (image.width, image.height) == (64, 64)
    config = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert '"width": 8' in config
    assert events.Tensors("checkpoints/text_summary")[-1].tensor_proto.string_val[0].decode() == str(run / "last.pt")


def wandb_records(path: Path) -> list[Any]:
    """The records of a W&B file: LevelDB's log format (blocks of 32 KiB, of chunks with checksum, length and type)."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    data, at, parts, records = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last chunk
            records.append(Record.FromString(parts))
            parts = b""
    return records


def history(records: list[Any]) -> list[dict[str, str]]:
    """What was logged, a row a step, as JSON."""
    return [
        {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]


def test_wandb_keeps_a_run_offline_that_can_be_sent_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = tmp_path / "first"
    track("wandb", run, [2, 4])
    track("wandb", run, [6])
    folders = sorted((run / "tracking" / "wandb").glob("offline-run-*"))
    assert len(folders) == 2
    (identity,) = {folder.name.rsplit("-", 1)[1] for folder in folders}  # the same run
    command = f"wandb sync --id {identity} {' '.join(str(folder.relative_to(run)) for folder in folders)}"
    assert caplog.messages[-1] == f"wandb: offline; send it, from the run's folder, with: {command}"
    tried = subprocess.run(
        [sys.executable, "-m", *command.split(), "--dry-run"], cwd=run, capture_output=True, text=True, timeout=60
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr
    records = [record for folder in folders for record in wandb_records(next(folder.glob("*.wandb")))]
    rows = history(records)
    losses = [(json.loads(row["pairs"]), json.loads(row["loss/cycle_a"])) for row in rows if "loss/cycle_a" in row]
    assert losses == [(2, 1.0), (4, 2.0), (6, 3.0)]
    settings = {item.key: item.value_json for record in records for item in record.run.config.update}
    assert json.loads(settings["model"]) == {"width": 8}
    assert next(record.run.project for record in records if record.HasField("run")) == "monet"
    assert [row["_step"] for row in rows] == ["2", "4", "6"]  # those of the second process follow the first one's
    assert sum("samples/path" in row for row in rows) == 2
    assert len(list(folders[0].rglob("media/images/*.png"))) == 1
    models = [record.artifact for record in records if record.WhichOneof("record_type") == "artifact"]
    assert [(model.type, model.manifest.contents[0].ref) for model in models] == [
        ("model", (run / "last.pt").as_uri())
    ] * 2
    kept = folders[1] / "files" / "epoch-0006.png"
    assert not kept.is_symlink()
    assert kept.read_bytes() == (run / kept.name).read_bytes()
    summary = {item.key: item.value_json for record in records for item in record.summary.update}
    assert json.loads(summary["MiFID"]) == 1.5


def test_wandb_works_offline_where_its_server_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    run = tmp_path / "first"
    track("wandb", run, [2, 4], online=True)
    assert caplog.messages[0].startswith("wandb: cannot log in (")
    assert caplog.messages[0].endswith("): tracking offline")
    assert caplog.messages[-1].startswith("wandb: offline; send it")
    (folder,) = (run / "tracking" / "wandb").glob("offline-run-*")
    records = wandb_records(next(folder.glob("*.wandb")))
    assert sum(record.HasField("history") for record in records) == 2


def test_wandb_takes_points_that_lie_behind(tmp_path: Path) -> None:
    run = tmp_path / "first"
    track("wandb", run, [4, 6, 2])  # painted with an earlier checkpoint, at the end
    (folder,) = (run / "tracking" / "wandb").glob("offline-run-*")
    rows = history(wandb_records(next(folder.glob("*.wandb"))))
    assert any("samples/path" in row for row in rows)
    assert [row["_step"] for row in rows] == ["4", "6"]
