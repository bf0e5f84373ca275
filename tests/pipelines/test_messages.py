"""Whatever ends a command, it is one line of a bearable length and one code of the contract."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipelines._command import run_command
from tests.pipelines.conftest import command


def _ended_by(error: Exception) -> int:
    def main(_: object) -> int:
        raise error

    return run_command(main, [])


def test_an_error_of_the_system_about_a_path_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    for number in (errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR):
        assert _ended_by(OSError(number, os.strerror(number), "some/where")) == 2
        assert capsys.readouterr().err == f"error: some/where: {os.strerror(number)}\n"


def test_a_machine_that_has_no_more_room_is_no_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended_by(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some/where")) == 1
    assert _ended_by(OSError(errno.EIO, os.strerror(errno.EIO))) == 1
    assert capsys.readouterr().err == "error: some/where: No space left on device\nerror: Input/output error\n"


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "--checkpoint", "c" * 5_000, "--photos", "p", "--zip", "z"],
        ["submit", "--data", "d" * 100_000, "--training.epochs", "1"],
        ["submit", "--training.epochs", "1" * 100_000],
        ["submit", "--" + "o" * 100_000, "1"],
        ["submit", "--score", "s" * 100_000],
        ["validate", "one\ntwo"],
    ],
    ids=lambda words: words[0] + words[1][:12],
)
def test_a_long_word_makes_no_long_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(words[0], *words[1:]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert len(error) < 2_100
    assert "unexpected" not in error
