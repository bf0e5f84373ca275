"""The archive comes first: nothing that a run can do without keeps it from being written."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from monet import archive
from monet.errors import InputError, Interrupted
from monet.side_products import side_product
from tests.conftest import TINY
from tests.pipelines.conftest import command

SIDE_PRODUCTS = [
    "monet.reporting.metrics._steps",
    "monet.scoring.scorer.Scorer.evaluate",
    "monet.scoring.scorer.Scorer.seconds",
    "monet.run_folder.folder.RunFolder.write_step",
    "monet.run.samples.SampleGrids.save",
    "monet.run.samples._tensors",
    "monet.run.submit._track",
    "monet.run.submit.generated_grid",
    "monet.run.submit.keep_score",
    "monet.run.submit.read_candidate",
    "monet.run.submit.write_submission",
    "monet.run_folder.report.save_curves",
]


def breaking(error: Exception) -> Callable[..., Any]:
    def broken(*_: object, **__: object) -> None:
        raise error

    return broken


@pytest.fixture(autouse=True)
def _signals(own_signals: None) -> None:
    """Commands listen for signals; tests continue afterwards."""


@pytest.mark.parametrize("kind", [RuntimeError, MemoryError])
def test_a_run_whose_every_side_product_fails_still_has_its_archive(
    kind: type[Exception],
    tiny_data: Path,
    random_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    weights = ("--feature-layer", "192", "--inception-weights", random_weights, "--score", "yes")
    for name in SIDE_PRODUCTS:
        monkeypatch.setattr(name, breaking(kind("of what fails")))
    words = ("--data", tiny_data, "--run", run, *TINY, "--training.epochs", "2", "--training.save_every", "1")
    assert command("submit", *words, *weights) == 0
    out, err = capsys.readouterr()
    assert archive.validate(run / "images.zip", "any").valid
    assert f"wrote {run / 'images.zip'}: 6 images, valid as an archive of images" in out
    assert "not scored: " in out
    assert "Traceback" not in err
    for what in ("metrics.jsonl", "sample grids", "generated.png", "report.html", "the trackers"):
        assert sum(what in line and "of what fails" in line for line in err.splitlines()) == 1, what


@pytest.mark.parametrize(
    "name",
    ["monet.archive.validate", "monet.reporting.metrics._steps", "monet.scoring.evaluation.Evaluation.numbers"],
)
def test_one_side_product_that_fails_leaves_the_others(
    name: str,
    finished: Path,
    random_weights: Path,
    tiny_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = [finished / part for part in ("images.zip", "report.html", "curves.png", "samples/generated.png")]
    for path in made:
        path.unlink(missing_ok=True)
    weights = ("--feature-layer", "192", "--inception-weights", random_weights, "--score", "yes")
    monkeypatch.setattr(name, breaking(RuntimeError("of what fails")))
    assert command("submit", "--data", tiny_data, "--run", finished, "--resume", *weights) == 0
    out, err = capsys.readouterr()
    assert f"wrote {made[0]}: 6 images" in out
    assert (", not checked" in out) == name.endswith("validate")
    assert [path.name for path in made if not path.exists()] == ["curves.png"] * name.endswith("_steps")
    assert "unexpected" not in err
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def finished(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    words = ("--data", tiny_data, "--run", run, *TINY, "--training.epochs", "1")
    assert command("submit", *words) == 0
    return run


@pytest.mark.parametrize("name", ["monet.run.samples.SampleGrids.save", "monet.run_folder.report.save_curves"])
def test_a_picture_of_the_training_that_fails_costs_no_archive_and_is_told_of(
    name: str, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(name, breaking(RuntimeError("of what fails")))
    assert command("submit", "--data", tiny_data, "--run", tmp_path / "run", *TINY, "--training.epochs", "1") == 0
    err = capsys.readouterr().err
    assert archive.validate(tmp_path / "run" / "images.zip", "any").valid
    assert sum("of what fails" in line for line in err.splitlines()) == 1
    assert "Traceback" not in err


def test_curves_are_drawn_once_and_when_the_archive_is_complete(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: list[bool] = []
    monkeypatch.setattr(
        "monet.run_folder.report.save_curves", lambda *_: there.append((tmp_path / "run" / "images.zip").exists())
    )
    assert command("submit", "--data", tiny_data, "--run", tmp_path / "run", *TINY, "--training.epochs", "1") == 0
    assert there == [True]


def test_an_archive_that_cannot_be_opened_is_told_of_with_everything_else(
    finished: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("monet.archive.validate", breaking(InputError("it is torn")))
    assert command("submit", "--data", tiny_data, "--run", finished, "--resume") == 1
    out, err = capsys.readouterr()
    assert "look at " in out
    assert err.splitlines()[-1].startswith(f"error: {finished / 'images.zip'} is not valid: it is torn")


def test_without_room_for_a_checkpoint_a_submission_has_its_archive_and_a_training_says_so(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    monkeypatch.setattr(torch, "save", breaking(OSError(errno.ENOSPC, "No space left on device")))
    words = (*TINY, "--data", tiny_data, "--training.epochs", "2", "--training.save_every", "1")
    assert command("submit", *words, "--run", run) == 0
    out, err = capsys.readouterr()
    assert "images.zip: 6 images, valid" in out
    assert f"cannot write {run / 'checkpoints' / 'last.pt'}: No space left on device; the run continues to" in err
    assert list((run / "checkpoints").iterdir()) == []
    assert command("train", *words, "--run", tmp_path / "other") == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("last.pt: No space left on device")


def test_an_older_checkpoint_is_not_scored_in_the_place_of_what_painted(
    tiny_data: Path,
    random_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--data", tiny_data, "--run", tmp_path / "run", *TINY, "--training.save_every", "0")
    weights = ("--feature-layer", "192", "--inception-weights", random_weights, "--score", "yes")
    assert command("submit", *words, "--training.epochs", "1", "--score", "no") == 0
    monkeypatch.setattr(torch, "save", breaking(OSError(errno.ENOSPC, "No space left on device")))
    assert command("submit", *words, "--training.epochs", "2", *weights, "--resume") == 0
    out, err = capsys.readouterr()
    assert "last.pt is of pair 8 and did not paint" in err
    assert "MiFID" in out
    assert not (tmp_path / "run" / "scores.jsonl").exists()


@pytest.mark.parametrize("end", [Interrupted(15, "told"), KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_a_process_is_no_failure_of_a_side_product(end: BaseException) -> None:
    with pytest.raises(type(end)), side_product("something"):
        raise end


def test_a_failure_that_was_told_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    told: set[str] = set()
    with caplog.at_level(logging.INFO, "monet"):
        for _ in range(3):
            with side_product("a line", told):
                raise ValueError("first\nsecond")
    assert caplog.messages == ["a line could not be made: ValueError: first; the run continues without"]
