from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from monet.errors import InputError, MonetError
from monet.run_folder.folder import RunFolder

HOLDER = {"pid": 4711, "host": "studio", "since": "2031-05-06 07:08:09 UTC", "command": "python -m pipelines.train"}


def test_a_second_process_is_told_who_works_in_the_folder_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    release = RunFolder(tmp_path).hold(HOLDER)
    before = {path.name: (path.stat().st_mtime_ns, path.read_text()) for path in tmp_path.iterdir()}
    with pytest.raises(
        InputError, match=r"is in use by process 4711 on studio since 2031-05-06 07:08:09 UTC \(python -m pipelines.tr"
    ):
        RunFolder(tmp_path).hold({})
    assert {path.name: (path.stat().st_mtime_ns, path.read_text()) for path in tmp_path.iterdir()} == before
    release()
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    RunFolder(tmp_path).hold({})()


@pytest.mark.parametrize("how", ["moved", "unlocked"])
def test_a_folder_that_was_moved_away_is_made_and_held_anew_unless_another_process_was_quicker(
    how: str, tmp_path: Path
) -> None:
    def lose(folder: RunFolder) -> None:
        folder.path.rename(tmp_path / f"{folder.path.name}-elsewhere") if how == "moved" else (
            folder.path / ".lock"
        ).unlink()

    first = RunFolder(tmp_path / "a")
    release = first.hold(HOLDER)
    first.keep_held()
    lose(first)
    first.keep_held()
    with pytest.raises(InputError, match="is in use by process 4711"):
        RunFolder(tmp_path / "a").hold({})
    release()

    late = RunFolder(tmp_path / "b")
    release = late.hold(HOLDER)
    lose(late)
    quicker = RunFolder(tmp_path / "b")
    release_quicker = quicker.hold({**HOLDER, "pid": 4712})
    with pytest.raises(MonetError, match="is in use by process 4712"):
        late.keep_held()
    release()
    with pytest.raises(InputError, match="is in use by process 4712"):  # whose lock the first one left alone
        RunFolder(tmp_path / "b").hold({})
    release_quicker()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 3}', "\0\xff"])
def test_a_holder_that_is_not_told_is_still_a_holder(text: str, tmp_path: Path) -> None:
    release = RunFolder(tmp_path).hold(HOLDER)
    (tmp_path / ".lock").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="is in use by another process: wait until it has ended"):
        RunFolder(tmp_path).hold(HOLDER)
    release()


def test_a_folder_that_was_made_for_the_lock_alone_goes_with_it(tmp_path: Path) -> None:
    release = RunFolder(tmp_path / "runs" / "first").hold(HOLDER)
    assert (tmp_path / "runs" / "first" / ".lock").exists()
    assert RunFolder(tmp_path / "runs" / "first").open(resume=False) is None  # it counts as empty
    release()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_process_that_was_killed_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text('{"pid": 1}')
    (tmp_path / "config.yaml.partial").write_text("half")
    folder = RunFolder(tmp_path)
    release = folder.hold(HOLDER)
    assert folder.open(resume=False) is None
    release()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    names = ["images.zip.partial", "config.yaml.1.partial", "checkpoints/last.pt.partial", "samples/epoch-0001.png"]
    for name in [*names, "tracking/kept.json.partial", "holiday.partial", "samples/epoch-0002.png.partial"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    RunFolder(tmp_path).hold(HOLDER)()
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"samples/epoch-0001.png", "tracking/kept.json.partial", "holiday.partial"}


def test_a_folder_of_other_things_gets_no_lock(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex.partial").write_text("")
    with pytest.raises(InputError, match="is not a run"):
        RunFolder(tmp_path).hold(HOLDER)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex.partial"]


def test_a_file_system_without_locks_is_mentioned_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with caplog.at_level(logging.WARNING, "monet"):
        RunFolder(tmp_path).hold(HOLDER)()
    assert "nothing keeps a second process out of" in caplog.text


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    places = {
        "file": "is not a folder",
        "file/run": r"is not a folder|cannot be written to \(Not a directory\)",
        "nowhere": "is a link that leads nowhere",
        "nowhere/run": r"cannot be written to \(File exists\)",
        "loop": r"cannot be read \(Too many levels of symbolic links\)",
        "n" * 300: r"cannot be read \(File name too long\)",
    }
    for name, message in places.items():
        with pytest.raises(InputError, match=message):
            RunFolder(tmp_path / name).hold(HOLDER)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "nowhere", "loop"}
