from __future__ import annotations

import errno
import json
import os
import socket
from pathlib import Path

import pytest

from monet.errors import InputError, MonetError
from monet.files import (
    add_line,
    is_json_with,
    remove_left_behind,
    require_output,
    require_regular,
    require_writable,
    write_json,
    write_text,
    written_whole,
)


def test_a_file_takes_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with written_whole(path) as file:
        file.write(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_failure_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "earlier")
    with pytest.raises(RuntimeError, match="boom"), written_whole(path) as file:
        file.write(b"half")
        raise RuntimeError("boom")
    assert path.read_text() == "earlier"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_one_line_that_says_what_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "earlier")
    with pytest.raises(MonetError, match=r"cannot write .*: No space left on device; the earlier file is untouched"):
        with written_whole(path):
            raise OSError(28, "No space left on device")
    assert path.read_text() == "earlier"


def test_json_ends_with_a_newline_and_reads_back(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, 2.5, "é"]})
    text = (tmp_path / "x.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text) == {"a": [1, 2.5, "é"]}


def test_a_place_that_cannot_be_written_is_found_beforehand_and_nothing_is_left_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a folder: give the name of a file"):
        require_writable(tmp_path)
    with pytest.raises(InputError, match="file is not a folder that can be written to"):
        require_writable(tmp_path / "file" / "images.zip")
    require_writable(tmp_path / "new" / "deep" / "images.zip")
    require_writable(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_only_a_regular_file_is_opened_for_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    for name in ("file", "link", "nothing"):
        require_regular(tmp_path / name)
    for name, kind in ((".", "a folder"), ("pipe", "a named pipe"), ("socket", "a socket"), ("/dev/zero", "a device")):
        with pytest.raises(InputError, match=f"cannot be read: it is {kind}; give a regular file"):
            require_regular(Path(name))


def test_two_that_write_the_same_file_at_once_do_not_write_into_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with written_whole(path) as first:
        first.write(b"first")
        with written_whole(path) as second:
            second.write(b"the second one")
        assert path.read_bytes() == b"the second one"
        first.write(b", whole")
    assert path.read_bytes() == b"first, whole"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_beside_a_file_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    whole = tmp_path / "last.pt"
    whole.write_bytes(b"whole")
    os.link(whole, tmp_path / "epoch.pt.partial")  # a second name of it, as a kill may leave it
    write_text(tmp_path / "epoch.pt", "new")
    assert whole.read_bytes() == b"whole"
    (tmp_path / "epoch.pt.partial").symlink_to(whole)
    write_text(tmp_path / "epoch.pt", "newer")
    assert whole.read_bytes() == b"whole"
    assert (tmp_path / "epoch.pt").read_text() == "newer"


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "n" * 246 + ".json"])
def test_the_longest_names_can_be_written(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "text")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_unfinished_files_are_removed_unless_someone_writes_them(tmp_path: Path) -> None:
    for name in ("last.pt.partial", "last.pt.1.partial", "other.partial", "last.pt"):
        (tmp_path / name).write_text("half")
    with written_whole(tmp_path / "report.html"):
        remove_left_behind(tmp_path, lambda name: name != "other")
        assert {entry.name for entry in tmp_path.iterdir()} == {"last.pt", "other.partial", "report.html.partial"}


def test_without_locks_files_are_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    write_text(tmp_path / "file", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_line_is_added_in_one_piece_after_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    add_line(path, "first")
    with open(path, "a") as file:
        file.write("torn")
    add_line(path, "last")
    assert path.read_text() == "first\ntorn\nlast\n"


def test_lines_are_added_to_files_alone(tmp_path: Path, pipe: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_text("whole")
    (tmp_path / "link").symlink_to(whole)
    for path in (tmp_path / "link", pipe, tmp_path):
        with pytest.raises(OSError, match=r"not a regular file|symbolic links|Is a directory"):
            add_line(path, "line")
    assert whole.read_text() == "whole"


def test_an_output_replaces_only_its_like_and_no_input(tmp_path: Path) -> None:
    mine, photo, empty = tmp_path / "mine", tmp_path / "photo", tmp_path / "empty"
    mine.write_text("mine")
    photo.write_text("photo")
    empty.touch()
    os.link(mine, tmp_path / "same")

    def require(path: Path, *inputs: Path) -> None:
        require_output(path, "my file", lambda path: path.read_text() == "mine", inputs)

    require(mine, photo)
    require(empty)
    require(tmp_path / "new", tmp_path)
    with pytest.raises(InputError, match="photo is there and is not my file: move it away, or give another name"):
        require(photo)
    for inputs in ([tmp_path], [tmp_path / "same"], [mine]):
        with pytest.raises(InputError, match="is read by this command"):
            require(mine, *inputs)


@pytest.mark.parametrize("name", ["n" * 256, "a\0b", "loop/x", "link"])
def test_a_name_that_cannot_be_written_is_found_beforehand(name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(InputError, match=r"cannot be written|is a link"):
        require_writable(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "it_is"),
    [
        ('{\n  "fid": 1\n}\n', True),
        ('{"fid": 1}\n', False),
        ('{\n  "name": 1\n}', False),
        ("{\n", False),
        ("[]", False),
    ],
)
def test_numbers_are_told_from_other_json(text: str, it_is: bool, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    assert is_json_with("fid")(tmp_path / "x.json") is it_is


def test_what_is_no_file_is_never_replaced(pipe: Path) -> None:
    with pytest.raises(MonetError, match=r"cannot write .*: it is a named pipe"):
        write_text(pipe, "text")
    assert pipe.is_fifo()
