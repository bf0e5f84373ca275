"""No output takes the place of an input, of a file of the run, or of anything but a file of its kind."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.pipelines.conftest import command
from tests.pipelines.test_one_at_a_time import contents

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are POSIX")

JOB = [*TINY, "--training.epochs", "1", "--score", "no"]


@pytest.fixture(scope="module")
def original(tiny_data: Path, random_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, a finished run, an archive, and a report of a comparison."""
    place = tmp_path_factory.mktemp("place")
    shutil.copytree(tiny_data, place / "data")
    assert command("submit", "--data", place / "data", "--run", place / "run", *JOB) == 0
    shutil.copyfile(place / "run" / "images.zip", place / "paintings.zip")
    scored = ("--feature-layer", "192", "--inception-weights", random_weights)
    both = ("--generated", place / "paintings.zip", "--reference", place / "data" / "trainB", *scored)
    assert command("evaluate", *both, "--json", place / "scores.json") == 0
    (place / "mine.html").write_text("<!doctype html><p>my page")
    (place / "package.json").write_text('{\n  "name": "mine"\n}\n')
    (place / "photo-link.jpg").symlink_to(place / "data" / "trainA" / "1.jpg")
    (place / "zip-link.zip").symlink_to(place / "paintings.zip")
    (place / "nowhere.zip").symlink_to(place / "gone")
    os.link(place / "paintings.zip", place / "second-name.zip")
    return place


@pytest.fixture
def place(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(original)
    if not Path("pipe").exists():
        os.mkfifo("pipe")
        with contextlib.suppress(PermissionError):  # a device of our own: none of the machine's is put at risk
            os.mknod("device", stat.S_IFCHR | 0o600, Path("/dev/null").stat().st_rdev)
    return original


def refused(words: list[str], capsys: pytest.CaptureFixture[str], place: Path) -> str:
    if "device" in words and not Path("device").exists():
        pytest.skip("only root makes devices")
    before = contents(place)
    assert command(words[0], *words[1:]) == 2
    error = capsys.readouterr().err
    assert contents(place) == before
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


NO_FILES = ["data", "pipe", "device", "photo-link.jpg", "zip-link.zip", "nowhere.zip", "mine.html/x", "n" * 300]
RUN_FILES = ["report.html", "metrics.jsonl", "config.yaml", "environment.json", "checkpoints/last.pt"]
NEW_IN_RUN = ["scores.jsonl", "checkpoints/epoch-0007.pt", "samples/x.zip", ".lock", "config.yaml.partial"]


@pytest.mark.parametrize(
    "output",
    [
        *NO_FILES,
        *(f"run/{name}" for name in RUN_FILES + NEW_IN_RUN),
        *("data/testA/1.jpg", "data/trainA/1.jpg", "data/trainB/1.jpg", "mine.html", "package.json", "scores.json"),
    ],
)
def test_submit_refuses_an_archive_in_the_place_of_anything_else(
    output: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(["submit", "--data", "data", "--run", "run", "--resume", *JOB, "--zip", output], capsys, place)


@pytest.mark.parametrize("output", [*NO_FILES, *(f"run/{name}" for name in RUN_FILES), "data/testA/1.jpg", "mine.html"])
def test_generate_refuses_an_archive_in_the_place_of_anything_else(
    output: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint = ["generate", "--checkpoint", "run/checkpoints/last.pt", "--photos", "data/testA", "--device", "cpu"]
    refused([*paint, "--zip", output], capsys, place)


@pytest.mark.parametrize(
    "output", [*NO_FILES, *(f"run/{name}" for name in RUN_FILES), "paintings.zip", "second-name.zip", "package.json"]
)
def test_evaluate_refuses_numbers_in_the_place_of_anything_else(
    output: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--generated", "paintings.zip", "--reference", "data/trainB", "--json", output]
    refused(words, capsys, place)


@pytest.mark.parametrize("option", ["--json", "--report"])
@pytest.mark.parametrize(
    "output", [*NO_FILES, *(f"run/{name}" for name in RUN_FILES[1:] + NEW_IN_RUN), "mine.html", "scores.json"]
)
def test_compare_refuses_outputs_in_the_place_of_anything_else(
    option: str, output: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--run", "run", "--photos", "data/testA", "--reference", "data/trainB", option, output]
    refused(words, capsys, place)


def test_a_reference_archive_is_not_painted_over_even_by_another_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "submit",
        "--data",
        "data",
        "--run",
        "run",
        "--resume",
        *JOB,
        "--train-paintings",
        "paintings.zip",
        "--zip",
    ]
    assert "second-name.zip is read by this command (paintings.zip)" in refused(
        [*words, "second-name.zip"], capsys, place
    )


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "--checkpoint", "run/checkpoints/last.pt", "--photos", "data/testA", "--skip-bad", "--zip"],
        ["evaluate", "--generated", "data/testA", "--reference", "data/trainB", "--json"],
        ["submit", "--data", "data", "--run", "run", "--resume", *JOB, "--skip-bad", "--zip"],
    ],
    ids=lambda words: words[0],
)
def test_an_input_is_not_replaced_even_where_it_is_empty(
    words: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = Path("data/testA/empty.jpg")
    empty.touch()
    try:
        assert f"{empty} is read by this command" in refused([*words, str(empty)], capsys, place)
    finally:
        empty.unlink()


def test_report_and_numbers_need_two_names(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "--run", "run", "--photos", "data/testA", "--reference", "data/trainB"]
    assert "give two names" in refused([*words, "--json", "one", "--report", "one"], capsys, place)
    assert "give two names" in refused([*words, "--json", "one", "--report", "./one"], capsys, place)


def test_what_an_output_may_replace_it_replaces(place: Path, random_weights: Path) -> None:
    paint = (
        "generate",
        "--checkpoint",
        "run/checkpoints/last.pt",
        "--photos",
        "data/testA",
        "--device",
        "cpu",
        "--zip",
    )
    Path("empty.zip").touch()
    with zipfile.ZipFile("earlier.zip", "w") as earlier:
        earlier.writestr("a.jpg", b"")
    for name in ("empty.zip", "earlier.zip", "data/testA/images.zip"):
        assert command(*paint, name) == 0
        assert len(zipfile.ZipFile(name).namelist()) == 6
    Path("data/testA/images.zip").unlink()
    scored = ("--feature-layer", "192", "--inception-weights", random_weights)
    both = ("--generated", "paintings.zip", "--reference", "data/trainB", *scored)
    assert command("evaluate", *both, "--json", "scores.json") == 0
    compared = ("compare", "--run", "run", "--photos", "data/testA", "--reference", "data/trainB", *scored)
    for _ in range(2):
        assert command(*compared, "--json", "compared.json", "--report", "compared.html") == 0
