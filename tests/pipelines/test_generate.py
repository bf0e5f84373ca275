from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from monet import checkpoint
from monet.archive import validate
from monet.clock import Horizon
from monet.settings import resolve
from monet.training.state import TrainingState, run_facts
from tests.conftest import TINY, fill_folder
from tests.pipelines.conftest import command


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = resolve({}, TINY)
    state = TrainingState.create(config, torch.device("cpu"), "fp32")
    path = tmp_path_factory.mktemp("c") / "last.pt"
    checkpoint.save(
        path, {**state.state_dict(), "horizon": asdict(Horizon(pairs=1)), **run_facts(config, "fp32", 1, 1)}
    )
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = fill_folder(tmp_path / "photos", 5, 0, (90, 70))
    (folder / "1b.jpg").write_bytes((folder / "1.jpg").read_bytes()[:400])
    (folder / "4b.png").write_bytes(b"")
    return folder


def test_an_unreadable_photo_stops_the_command_before_any_work(
    trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--checkpoint", trained, "--photos", photos, "--zip", tmp_path / "out" / "x.zip")
    assert command("generate", *words) == 2
    error = capsys.readouterr().err
    assert "1b.jpg (truncated)" in error
    assert "4b.png (empty file)" in error
    assert "or add --skip-bad" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_skip_bad_paints_the_others_and_lists_what_was_skipped(
    trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.zip"
    assert command("generate", "--checkpoint", trained, "--photos", photos, "--zip", path, "--skip-bad") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"left out: {photos / '1b.jpg'} (truncated)",
        f"left out: {photos / '4b.png'} (empty file)",
        f"wrote {path}: 5 images",
    ]
    assert validate(path, "any").num_images == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--checkpoint": "nothing.pt"}, "no checkpoint nothing.pt"),
        ({"--photos": "nowhere"}, "no folder nowhere"),
        ({"--batch-size": "0"}, "--batch-size is 0: give at least 1"),
        ({"--quality": "101"}, "--quality is 101: give 1 to 100"),
        ({"--weights": "best"}, "argument --weights: invalid choice: 'best'"),
        ({"--batch-size": "many"}, "argument --batch-size: 'many' is no whole number: write it as 12"),
        ({"--device": "tpu"}, "no device 'tpu'"),
    ],
)
def test_a_mistake_exits_2_with_one_line(
    trained: Path, tmp_path: Path, change: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = fill_folder(tmp_path / "good", 2, 0)
    options = {"--checkpoint": trained, "--photos": photos, "--zip": tmp_path / "x.zip", **change}
    assert command("generate", *(word for pair in options.items() for word in pair)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_without_a_readable_photo_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "x.jpg").write_text("no")
    words = ("--checkpoint", trained, "--photos", tmp_path / "photos", "--zip", tmp_path / "x.zip", "--skip-bad")
    assert command("generate", *words) == 2
    assert "no photo in" in capsys.readouterr().err


def test_a_checkpoint_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = fill_folder(tmp_path / "photos", 1, 0)
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"junk")
    assert command("generate", "--checkpoint", bad, "--photos", photos, "--zip", tmp_path / "x.zip") == 2
    assert "is torn or not a checkpoint" in capsys.readouterr().err
