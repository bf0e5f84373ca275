"""Whatever ends a command, it is one line of a bearable length and one code of the contract."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines._command import run_command
from tests.pipelines.conftest import ROOT, command


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


def test_too_many_open_files_say_how_to_allow_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended_by(OSError(errno.EMFILE, os.strerror(errno.EMFILE), "some/where")) == 1
    told = "Too many open files: let this process open more (ulimit -n)"
    assert capsys.readouterr().err == f"error: some/where: {told}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["translate", "--checkpoint", "c", "--input", "i", "--output", ""],
        ["translate", "--checkpoint", "c", "--input", "", "--output", "o"],
        ["generate", "--checkpoint", "c", "--photos", "", "--zip", "z"],
        ["validate", ""],
        ["evaluate", "--generated", "", "--reference", "r"],
        ["compare", "--run", "", "--photos", "p", "--reference", "r"],
        ["submit", "--data", ""],
        ["train", "--run", ""],
        ["export", "--checkpoint", "c", "--page", ""],
        ["frames", "--video", "", "--output", "o"],
        ["kernel", "build", "--folder", ""],
        ["studio", "--checkpoint", ""],
        ["bot", "--token-file", ""],
    ],
    ids=" ".join,
)
def test_an_empty_name_is_not_taken_for_the_current_folder(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(words[0], *words[1:]) == 2
    error = capsys.readouterr().err
    option = words[words.index("") - 1] if len(words) > 2 else "FILE.zip"
    assert error.startswith(f"error: argument {option}: the name is empty; ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
def test_an_event_loop_without_descriptors_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import asyncio, os, resource\n"
        "from pipelines._command import run_command\nfrom pipelines._processes import leave\n"
        "def main(arguments):\n"
        "    lowest = os.dup(0)\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, lowest + 1))\n"
        "    asyncio.run(asyncio.sleep(0))\n"
        "if __name__ == '__main__':\n    leave(run_command(main))\n"
    )
    words = [sys.executable, "-W", "ignore", "script.py"]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(words, cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "error: Too many open files: let this process open more (ulimit -n)\n"


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
