from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.pipelines.conftest import command
from tests.test_archive import jpeg


def archive(path: Path, count: int, data: bytes | None = None) -> Path:
    data = data or jpeg()
    with zipfile.ZipFile(path, "w") as file:
        for index in range(count):
            file.writestr(f"{index}.jpg", data)
    return path


def test_a_valid_archive_of_7000_images_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("validate", archive(tmp_path / "x.zip", 7000)) == 0
    assert capsys.readouterr().out == "valid: 7,000 images (kaggle rules)\n"


def test_an_invalid_archive_exits_1_with_every_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = archive(tmp_path / "x.zip", 2, jpeg(mode="L"))
    assert command("validate", path) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["mode: 0.jpg: mode L: expected RGB", "mode: 1.jpg: mode L: expected RGB"]
    assert out[-1] == "not valid: 3 problems (2 mode, 1 count); 2 images"


def test_json_holds_valid_num_images_and_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("validate", archive(tmp_path / "x.zip", 2), "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report == {
        "valid": False,
        "num_images": 2,
        "problems": [{"code": "count", "name": "", "message": "2 images: expected 7000 to 10000"}],
    }
    assert command("validate", tmp_path / "x.zip", "--json", "--rules", "any") == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True, "num_images": 2, "problems": []}


@pytest.mark.parametrize("content", [None, b"no zip"])
def test_an_unreadable_archive_exits_2_with_one_line(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content:
        (tmp_path / "x.zip").write_bytes(content)
    assert command("validate", tmp_path / "x.zip") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


def test_a_named_pipe_is_refused_at_once(pipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("validate", pipe) == 2
    assert capsys.readouterr().err == f"error: {pipe} cannot be read: it is a named pipe; give a regular file\n"


@pytest.mark.parametrize("words", [[], ["x.zip", "--rules", "none"], ["x.zip", "--jsn"], ["a.zip", "b.zip"]])
def test_wrong_use_exits_2_with_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("validate", *words) == 2
    error = capsys.readouterr().err
    assert "--help" in error
    assert error.count("\n") == 1
