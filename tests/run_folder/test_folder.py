from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest
import yaml

from monet import checkpoint
from monet.config import Config, to_dict
from monet.errors import InputError, MonetError
from monet.run_folder.folder import RunFolder
from monet.training.events import Incident, StepEvent


def event(pairs: int) -> StepEvent:
    return StepEvent(pairs, pairs, 0.123456789, 2e-4, {"generator": 1 / 3}, 1.0, 2.0, 3.0)


def pairs_in(folder: RunFolder) -> list[int]:
    return [json.loads(line)["pairs"] for line in folder.metrics.read_text().splitlines()]


def test_a_new_run_starts_in_an_empty_or_missing_folder_with_or_without_resume(tmp_path: Path) -> None:
    for resume in (False, True):
        assert RunFolder(tmp_path / "new").open(resume) is None
        assert RunFolder(tmp_path).open(resume) is None


def test_a_folder_that_is_not_empty_needs_resume(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(InputError, match="is not empty: add --resume to resume it, or give --run another name"):
        RunFolder(tmp_path).open(resume=False)
    assert RunFolder(tmp_path).open(resume=True) is None


def test_a_folder_of_other_things_is_not_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="is not a run"):
        RunFolder(tmp_path).open(resume=True)
    with pytest.raises(InputError, match="is not a folder"):
        RunFolder(tmp_path / "thesis.tex").open(resume=True)


def test_a_damaged_checkpoint_names_an_earlier_one_that_can_take_its_place(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    for name in ("epoch-0010.pt", "epoch-0020.pt"):
        checkpoint.save(folder.checkpoints / name, {})
    folder.last.write_bytes(b"PK torn")
    with pytest.raises(InputError, match=r"last.pt is damaged: .*; epoch-0020.pt beside it can be copied over it"):
        folder.open(resume=True)


def test_named_checkpoints_without_the_last_one_are_not_overwritten_by_a_new_start(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    checkpoint.save(folder.checkpoints / "epoch-0010.pt", {})
    with pytest.raises(InputError, match=r"last.pt is missing: copy epoch-0010.pt beside it to that name"):
        folder.open(resume=True)


def test_metrics_that_cannot_be_written_say_why(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.metrics.mkdir()
    with pytest.raises(MonetError, match=r"cannot write .*metrics.jsonl: Is a directory$"):
        folder.write_step(event(2))


def test_metrics_are_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(Config(), {}, 0)
    for pairs in (2, 4, 6, 8):
        folder.write_step(event(pairs))
    folder.write_incident(Incident(9, 1, 20))
    with open(folder.metrics, "a") as file:
        file.write('{"pairs": 5, "to')
    folder.begin(Config(), {}, 4)
    assert pairs_in(folder) == [2, 4]
    folder.write_step(event(6))
    assert pairs_in(folder) == [2, 4, 6]
    folder.begin(Config(), {}, 0)
    assert pairs_in(folder) == []


def test_many_metrics_are_cut_back_in_little_memory(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with open(folder.metrics, "w") as file:
        file.writelines(f'{{"pairs": {pairs}, "padding": "{"x" * 200}"}}\n' for pairs in range(20_000))
    tracemalloc.start()
    folder.begin(Config(), {}, 19_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert folder.metrics.read_bytes().count(b"\n") == 19_001
    assert most < folder.metrics.stat().st_size / 4


def test_a_line_that_was_torn_just_before_its_end_is_dropped(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(Config(), {}, 0)
    for pairs in (2, 4):
        folder.write_step(event(pairs))
    folder.metrics.write_bytes(folder.metrics.read_bytes().rstrip())
    folder.begin(Config(), {}, 4)
    folder.write_step(event(4))
    assert pairs_in(folder) == [2, 4]


def test_metrics_hold_what_a_step_told(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(Config(), {}, 0)
    folder.write_step(event(2))
    assert json.loads(folder.metrics.read_text()) == {
        "step": 2,
        "pairs": 2,
        "progress": 0.1234568,
        "learning_rate": 2e-4,
        "losses": {"generator": 0.3333333},
        "seconds": 1.0,
        "pairs_per_second": 2.0,
        "time_left": 3.0,
    }


def test_settings_and_machines_are_written_down(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(Config(budget="5h"), {"torch": "1"}, 0)
    folder.begin(Config(budget="5h"), {"torch": "2"}, 100)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == to_dict(Config(budget="5h"))
    processes = json.loads((tmp_path / "environment.json").read_text())["processes"]
    assert processes == [{"from_pair": 0, "torch": "1"}, {"from_pair": 100, "torch": "2"}]


@pytest.mark.parametrize("name", ["metrics.jsonl", "config.yaml", "scores.jsonl", "report.html", "images.zip"])
def test_a_file_of_the_run_that_is_none_is_found_before_any_work(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.mkdir()
    with pytest.raises(InputError, match=rf"{name} is a folder, where a run has a file: move it away"):
        RunFolder(tmp_path).open(resume=True)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(InputError, match=rf"{name} is a named pipe, where a run has a file"):
        RunFolder(tmp_path).open(resume=True)
    path.unlink()
    path.symlink_to("gone")
    with pytest.raises(InputError, match=rf"{name} is a link, where a run has a file"):
        RunFolder(tmp_path).open(resume=True)


@pytest.mark.parametrize("name", ["checkpoints", "samples"])
def test_a_folder_of_the_run_that_is_none_is_found_before_any_work(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=rf"{name} is a file, where a run has a folder: move it away"):
        RunFolder(tmp_path).open(resume=True)


def test_files_that_may_not_be_written_are_found_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anything
    with pytest.raises(InputError, match=r"checkpoints cannot be written to \(Permission denied\)"):
        RunFolder(tmp_path).open(resume=True)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '{"processes": 7}', '{"processes": [7]}', "[" * 9999, "\udcff", None],
)
def test_a_damaged_environment_is_no_failure_and_is_said(
    tmp_path: Path, text: str | None, pipe: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path)
    assert folder.processes() == []
    assert not caplog.records
    if text is None:
        pipe.rename(folder.environment)
    else:
        folder.environment.write_text(text, errors="surrogateescape")
    assert folder.processes() == []
    assert "environment.json is damaged: where this run was trained is not known" in caplog.text


def test_of_several_processes_those_that_can_be_shown_are(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.environment.write_text('{"processes": [{"from_pair": "many"}, {"from_pair": 3}, {}]}')
    assert folder.processes() == [{"from_pair": 3}, {}]


def test_files_of_epochs_after_the_one_that_a_run_resumes_from_are_moved_aside_and_none_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path)
    names = ["checkpoints/last.pt", "checkpoints/mine.pt", "samples/generated.png"]
    for epoch in (1, 2, 3, 12):
        names += [f"checkpoints/epoch-{epoch:04d}.pt", f"samples/epoch-{epoch:04d}.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    for epochs in (12, 2, 1):
        folder.set_aside(epochs)
    found = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.*")}
    assert sorted(found.values()) == sorted(names)
    assert {place: name for place, name in found.items() if place != name} == {
        "abandoned-1/epoch-0003.pt": "checkpoints/epoch-0003.pt",
        "abandoned-1/epoch-0003.png": "samples/epoch-0003.png",
        "abandoned-1/epoch-0012.pt": "checkpoints/epoch-0012.pt",
        "abandoned-1/epoch-0012.png": "samples/epoch-0012.png",
        "abandoned-2/epoch-0002.pt": "checkpoints/epoch-0002.pt",
        "abandoned-2/epoch-0002.png": "samples/epoch-0002.png",
    }
    assert [record.getMessage() for record in caplog.records] == [
        f"the run resumes after epoch 2: epoch-0003.pt and 3 more, of later epochs, moved to {tmp_path}/abandoned-1",
        f"the run resumes after epoch 1: epoch-0002.pt and 1 more, of later epochs, moved to {tmp_path}/abandoned-2",
    ]
