"""Folders and files that may not be read or written, names too long, links in a circle: one line, and exit code 2."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.pipelines.conftest import command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights are POSIX")

NOBODY = 65_534
JOB = [*TINY, "--training.epochs", "1", "--score", "no"]
PAINT = ["generate", "--checkpoint", "run/checkpoints/last.pt", "--photos", "data/testA", "--zip", "new.zip"]
COMPARE = ["compare", "--run", "run", "--photos", "data/testA", "--reference", "data/trainB"]
SUBMIT = ["submit", "--data", "data", "--run", "run", "--resume", *JOB]


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """What root may, others may not."""
    if os.geteuid() != 0:
        yield
        return
    "".encode("cp437")  # what zipfile asks for may be where only root can read
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture(scope="module")
def original(tiny_data: Path) -> Iterator[Path]:
    """Data and a finished run, in a place that everyone may enter."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "place"
        shutil.copytree(tiny_data, place / "data")
        assert command("train", "--data", place / "data", "--run", place / "run", *JOB[:-2]) == 0
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o777)
        yield place


@pytest.fixture
def place(original: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(original)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return original


def one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert command(words[0], *words[1:]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "unexpected" not in error
    return error


LOCKED = [
    ("data", 0o000, SUBMIT),
    ("data/trainA", 0o000, SUBMIT),
    ("data/trainA", 0o444, SUBMIT),
    ("run", 0o000, SUBMIT),
    ("run", 0o555, SUBMIT),
    ("run/checkpoints", 0o000, SUBMIT),
    ("run/checkpoints", 0o555, SUBMIT),
    ("run/checkpoints/last.pt", 0o000, SUBMIT),
    ("run/metrics.jsonl", 0o444, SUBMIT),
    ("run/samples", 0o555, SUBMIT),
    (".", 0o555, ["train", "--data", "data", "--run", "new", *JOB[:-2]]),
    (".", 0o555, PAINT),
    ("data/testA", 0o000, PAINT),
    ("run/checkpoints", 0o000, PAINT),
    ("run/checkpoints/last.pt", 0o000, PAINT),
    ("run", 0o000, COMPARE),
    ("run/checkpoints", 0o000, COMPARE),
    ("data/testA", 0o000, COMPARE),
    ("data", 0o000, ["evaluate", "--generated", "data/testA", "--reference", "data/trainB", "--json", "x.json"]),
    ("data", 0o000, ["validate", "data/testA/x.zip"]),
    ("data", 0o000, ["train", "--data", "data", "--recipe", "data/r.yaml"]),
]


@pytest.mark.parametrize(("what", "mode", "words"), LOCKED, ids=[f"{w[0]}-{n}-{m:o}" for n, m, w in LOCKED])
def test_what_may_not_be_read_or_written_is_one_line(
    what: str, mode: int, words: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = place / what
    path.chmod(mode)
    try:
        with unprivileged():
            error = one_line(words, capsys)
    finally:
        path.chmod(0o777)
    assert "denied" in error or "cannot be" in error


NAMES = {
    "252": "n" * 252,
    "256": "n" * 256,
    "5000": "n/" * 2_500,
    "loop": "loop/x",
    "dangling": "dangling",
    "file": "data/testA/0.jpg/x",
    "bytes": "\udcff\udcfe",
    "empty": "",
}
FINE = {("generate--zip", "252"), ("generate--zip", "bytes")}
"""Archives may have such names."""
OPTIONS = [
    ("submit", "--data"),
    ("submit", "--run"),
    ("submit", "--zip"),
    ("submit", "--recipe"),
    ("submit", "--inception-weights"),
    ("submit", "--train-paintings"),
    ("generate", "--checkpoint"),
    ("generate", "--photos"),
    ("generate", "--zip"),
    ("compare", "--run"),
    ("compare", "--photos"),
    ("compare", "--reference"),
    ("compare", "--json"),
    ("compare", "--report"),
    ("evaluate", "--generated"),
    ("evaluate", "--json"),
    ("validate", ""),
]
BASE: dict[str, dict[str, str]] = {
    "submit": {"--data": "data", "--run": "run", "--zip": "z.zip", "--training.epochs": "0", "--score": "yes"},
    "generate": {"--checkpoint": "run/checkpoints/last.pt", "--photos": "data/testA", "--zip": "z.zip"},
    "compare": {
        "--run": "run",
        "--photos": "data/testA",
        "--reference": "data/trainB",
        "--json": "run",
        "--report": "r",
    },
    "evaluate": {"--generated": "data/testA", "--reference": "data/trainB", "--json": "run"},
    "validate": {},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("program", "option"), OPTIONS, ids=["".join(option) for option in OPTIONS])
def test_no_name_is_unexpected(
    program: str, option: str, name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for link, target in (("loop", "loop"), ("dangling", "gone")):
        if not os.path.lexists(link):
            Path(link).symlink_to(target)
    options = {**BASE[program], option: NAMES[name]}
    words = [word for pair in options.items() for word in pair if word or word is options[option]]
    code = command(program, *(words if option else [NAMES[name]]))
    error = capsys.readouterr().err
    if (program + option, name) in FINE:
        assert code == 0, error
        Path(NAMES[name]).unlink()
        return
    assert code == 2, error
    assert error.count("error: ") == 1
    assert "unexpected" not in error
    assert len(error) < 3_000
    assert not Path("run/.lock").exists()


@pytest.mark.parametrize(
    "words", [["compare", "--run", "run", "loop/x", *COMPARE[3:]], [*SUBMIT, "--paint-with", "loop/x"]]
)
def test_links_in_a_circle_are_no_surprise(words: list[str], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not os.path.lexists("loop"):
        Path("loop").symlink_to("loop")
    one_line(words, capsys)
