"""Output that nobody can read is no reason to lose a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from monet.archive import validate
from pipelines._streams import Stream
from tests.conftest import TINY
from tests.pipelines.conftest import ROOT, started

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="file descriptors are POSIX")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid archive by the rules `any`."""
    import zipfile

    from tests.conftest import picture

    folder = tmp_path_factory.mktemp("archive")
    picture(1).save(folder / "1.jpg")
    with zipfile.ZipFile(folder / "images.zip", "w") as file:
        file.write(folder / "1.jpg", "1.jpg")
    return folder / "images.zip"


def run(archive: Path, redirections: str) -> tuple[int, str]:
    """Checks an archive in a shell with redirections; returns the exit code and what stderr got."""
    errors = archive.with_name("stderr.txt")
    words = f"'{sys.executable}' -m pipelines.validate --rules any '{archive}' {redirections}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", "ERRORS": str(errors)}
    errors.write_text("")
    shell = subprocess.run(["bash", "-c", f"{words}; exit ${{PIPESTATUS[0]}}"], env=environment, timeout=60)
    return shell.returncode, errors.read_text()


@pytest.mark.parametrize(
    ("redirections", "code", "words"),
    [
        ('>/dev/full 2>"$ERRORS"', 1, "error: stdout cannot be written to (No space left on device): the work is done"),
        ('>&- 2>"$ERRORS"', 1, "error: stdout cannot be written to (it is closed): the work is done"),
        ('2>"$ERRORS" | sleep 0', 1, "error: stdout cannot be written to (Broken pipe): the work is done"),
        ('--help 2>"$ERRORS" >/dev/full', 1, "error: stdout cannot be written to (No space left on device)"),
        ('>/dev/null 2>"$ERRORS" <&-', 0, ""),
        (">/dev/null 2>/dev/full", 0, ""),
        (">/dev/null 2>&-", 0, ""),
        (">/dev/full 2>/dev/full", 1, ""),
        (">&- 2>&- <&-", 1, ""),
        ("--no-such-option 2>&- >/dev/null", 2, ""),
    ],
)
def test_streams_that_cannot_be_written_to_end_in_a_code_of_the_contract(
    archive: Path, redirections: str, code: int, words: str
) -> None:
    found, err = run(archive, redirections)
    assert found == code
    assert err.startswith(words)
    assert err.count("\n") == (1 if words else 0)


def test_a_run_whose_reader_has_gone_goes_on_to_its_archive(tiny_data: Path, tmp_path: Path) -> None:
    process = started(
        "submit", "--data", tiny_data, "--run", tmp_path / "run", *TINY, "--training.epochs", "2", cwd=tmp_path
    )
    for stream in (process.stdout, process.stderr):
        assert stream
        stream.close()
    assert process.wait(120) == 1  # nobody was told
    assert validate(tmp_path / "run" / "images.zip", "any").valid


def test_a_closed_standard_stream_is_not_taken_for_a_file_that_is_opened_later(tmp_path: Path) -> None:
    code = "import runpy, sys, os\nsys.argv = ['-m']\nimport pipelines\nprint(os.open(os.devnull, os.O_RDONLY))"
    shell = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "{code}" <&- 2>&-'], cwd=ROOT, capture_output=True, text=True
    )
    assert int(shell.stdout) > 2


class Broken:
    """Refuses from the second write on."""

    def __init__(self, error: Exception) -> None:
        self.error, self.kept = error, ""

    def write(self, text: str) -> int:
        if self.kept:
            raise self.error
        self.kept += text
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


@pytest.mark.parametrize("error", [OSError(28, "No space left"), ValueError("I/O operation on closed file")])
def test_a_stream_that_failed_once_is_left_alone(error: Exception) -> None:
    broken = Broken(error)
    stream = Stream(broken)
    assert [stream.write(text) for text in ("one", "three", "five")] == [3, 5, 4]
    stream.flush()
    assert broken.kept == "one"
    assert stream.failure in str(error)


def test_a_signal_handler_writes_past_a_stream_that_is_busy(tmp_path: Path) -> None:
    file: IO[str] = open(tmp_path / "out.txt", "w")  # noqa: SIM115
    with file:
        Stream(file).write_at_once("told ×\n")
        assert (tmp_path / "out.txt").read_text() == "told ×\n"
