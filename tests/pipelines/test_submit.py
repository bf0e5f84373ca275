from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from monet import checkpoint
from monet.errors import MonetError
from tests.conftest import TINY, fill_folder, picture
from tests.pipelines.conftest import ROOT, command

SMALL = [*TINY, "--training.epochs", "2", "--training.save_every", "1"]


@pytest.fixture(scope="module")
def finished(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, painted."""
    run = tmp_path_factory.mktemp("runs") / "first"
    assert command("submit", "--data", tiny_data, "--run", run, *SMALL, "--training.ema", "0.9") == 0
    return run


def test_a_run_leaves_what_the_design_says(finished: Path) -> None:
    found = sorted(path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file())
    assert found == [
        "checkpoints/epoch-0001.pt",
        "checkpoints/epoch-0002.pt",
        "checkpoints/last.pt",
        "config.yaml",
        "curves.png",
        "environment.json",
        "images.zip",
        "metrics.jsonl",
        "report.html",
        "samples/epoch-0001.png",
        "samples/epoch-0002.png",
        "samples/generated.png",
    ]
    assert yaml.safe_load((finished / "config.yaml").read_text())["training"]["epochs"] == 2
    steps = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [step["pairs"] for step in steps] == list(range(2, 17, 2))
    assert all({"progress", "learning_rate", "losses"} <= step.keys() for step in steps)
    for image in finished.rglob("*.png"):
        Image.open(image).load()


def test_the_archive_holds_one_256_rgb_jpeg_a_photo(finished: Path, tiny_data: Path) -> None:
    with zipfile.ZipFile(finished / "images.zip") as archive:
        assert archive.namelist() == [f"{index}.jpg" for index in range(6)]
        for name in archive.namelist():
            image = Image.open(io.BytesIO(archive.read(name)))
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (256, 256))


def test_generate_with_the_last_checkpoint_paints_the_same_images(
    finished: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "again.zip"
    words = ("--checkpoint", finished / "checkpoints" / "last.pt", "--photos", tiny_data / "testA", "--zip")
    assert command("generate", *words, path, "--device", "cpu", "--precision", "fp32") == 0
    assert capsys.readouterr().out == f"wrote {path}: 6 images\n"
    assert path.read_bytes() == (finished / "images.zip").read_bytes()
    raw = tmp_path / "raw.zip"
    assert command("generate", *words, raw, "--weights", "raw", "--batch-size", "2", "--precision", "fp32") == 0
    assert raw.read_bytes() != path.read_bytes()


def test_the_last_lines_say_what_was_written_and_what_to_do_next(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zip_path = tmp_path / "mine.zip"
    assert command("submit", "--data", tiny_data, "--run", tmp_path / "run", "--zip", zip_path, *SMALL) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("trained on 16 pairs in ")
    assert lines[0].endswith("(learning rate decayed to 0)")
    assert lines[1] == f"wrote {zip_path}: 6 images, valid as an archive of images"
    assert lines[2].startswith("not scored: no Inception weights at hand: --score yes downloads them (96 MB)")
    assert (
        lines[3] == f"look at {tmp_path / 'run' / 'report.html'} and {tmp_path / 'run' / 'samples' / 'generated.png'}"
    )
    assert "training on cpu in fp32, 12 photos and 5 paintings" in captured.err
    assert zip_path.exists()
    assert not (tmp_path / "run" / "images.zip").exists()


@pytest.mark.parametrize("score", ["auto", "yes"])
def test_the_archive_is_scored_against_the_paintings_that_were_trained_on(
    score: str, tiny_data: Path, random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "out.json"
    weights = ("--feature-layer", "192", "--inception-weights", random_weights)
    assert command("submit", "--data", tiny_data, "--run", run, *SMALL, "--score", score, *weights) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("MiFID ")
    (values,) = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    assert (values["checkpoint"], values["epochs"], values["num_generated"]) == ("last.pt", 2.0, 6)
    same = ("--generated", run / "images.zip", "--reference", tiny_data / "trainB", "--json", out)
    assert command("evaluate", *same, *weights) == 0
    assert json.loads(out.read_text())["mifid"] == pytest.approx(values["mifid"], rel=1e-9)
    assert "<h2>Scores</h2>" in (run / "report.html").read_text()


def test_without_weights_and_network_a_run_is_not_scored_and_succeeds(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    run = tmp_path / "run"
    assert command("submit", "--data", tiny_data, "--run", run, *SMALL, "--score", "yes") == 0
    captured = capsys.readouterr()
    (line,) = [line for line in captured.out.splitlines() if line.startswith("not scored: ")]
    assert "no download (no network): put weights-inception-2015-12-05-6726825d.pth" in line
    assert captured.err.index("no network") < captured.err.index("training on")  # said before, and again at the end
    assert (run / "images.zip").exists()
    assert "no network" in (run / "report.html").read_text()


def test_weights_that_cannot_do_what_is_asked_are_refused_before_training(
    tiny_data: Path, random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", tiny_data, "--run", tmp_path / "run", *SMALL, "--inception-weights", random_weights)
    assert command("submit", *words) == 2
    assert "layer 2048 of" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_training_paintings_that_are_not_there_are_refused_before_training(
    tiny_data: Path, random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = ("--feature-layer", "192", "--inception-weights", random_weights, "--train-paintings", "nowhere")
    assert command("submit", "--data", tiny_data, "--run", tmp_path / "run", *SMALL, *weights) == 2
    assert "no folder or archive nowhere" in capsys.readouterr().err


def test_a_single_photo_is_painted_and_not_scored(
    tiny_data: Path, random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    for photo in list((data / "testA").iterdir())[1:]:
        photo.unlink()
    weights = ("--feature-layer", "192", "--inception-weights", random_weights, "--budget", "10m")
    assert command("submit", "--data", data, "--run", tmp_path / "run", *SMALL, *weights) == 0
    assert "not scored: 1 image: a score needs at least two" in capsys.readouterr().out


def test_a_report_that_fails_does_not_hide_the_archive(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a chart")

    monkeypatch.setattr("monet.run.submit.write_submission", broken)
    assert command("submit", "--data", tiny_data, "--run", tmp_path / "run", *SMALL) == 0
    captured = capsys.readouterr()
    assert "report.html could not be made: ValueError: a chart; the run continues without" in captured.err
    assert "images.zip: 6 images, valid" in captured.out


def test_painting_with_a_checkpoint_needs_the_data_of_its_run(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_folder(tmp_path / "data" / "trainA", 3, 0)
    fill_folder(tmp_path / "data" / "trainB", 5, 9)
    words = ("--data", tmp_path / "data", "--run", finished, "--resume", "--paint-with", "last.pt")
    assert command("submit", *words, "--zip", tmp_path / "images.zip") == 2
    assert "saw 12 photos and 5 paintings; here are 3 photos and 5 paintings" in capsys.readouterr().err


def test_the_budget_of_the_training_does_not_bind_later_painting(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", tiny_data, "--run", tmp_path / "run")
    assert command("submit", *words, *SMALL, "--budget", "10m") == 0
    again = (*words, "--resume", "--paint-with", "last.pt")
    assert command("submit", *again) == 0
    assert "late" not in capsys.readouterr().err
    assert command("submit", *again, "--budget", "0.01s") == 0
    assert "the budget is too short" in capsys.readouterr().err


def test_paintings_of_different_sizes_are_not_scored_against(
    tiny_data: Path, random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    picture(1, (80, 64)).save(data / "trainB" / "wide.jpg")
    weights = ("--feature-layer", "192", "--inception-weights", random_weights)
    assert command("submit", "--data", data, "--run", tmp_path / "run", *SMALL, *weights) == 0
    assert f"not scored: {data / 'trainB'} holds images of different sizes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["best"], "holds none; name one with --run"),
        (["--resume", "best"], "holds none; name one with --run"),
    ],
)
def test_painting_with_a_checkpoint_needs_a_run(
    words: list[str], message: str, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    *options, chosen = words
    assert command("submit", "--data", tiny_data, "--run", tmp_path / "run", *options, "--paint-with", chosen) == 2
    assert message in capsys.readouterr().err


def test_painting_with_another_runs_checkpoint_is_refused(
    finished: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.pt"
    words = ("--data", tiny_data, "--run", finished, "--resume", "--zip", tmp_path / "images.zip", "--paint-with")
    assert command("submit", *words, other) == 2
    assert f"{other} belongs to another run" in capsys.readouterr().err
    assert command("submit", *words, "epoch-0009.pt") == 2
    assert f"no checkpoint {finished / 'checkpoints' / 'epoch-0009.pt'}" in capsys.readouterr().err


def test_a_finished_run_is_refused_without_resume_and_goes_on_with_more_epochs(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", tiny_data, "--run", tmp_path / "run", *TINY]
    assert command("train", *words, "--training.epochs", "1") == 0
    assert command("train", *words, "--training.epochs", "2") == 2
    assert "is not empty: add --resume" in capsys.readouterr().err
    assert command("train", *words, "--training.epochs", "2", "--resume") == 0
    assert "trained on 16 pairs" in capsys.readouterr().out
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "last.pt")["horizon"] == {"pairs": 16, "seconds": None}
    assert command("train", *words, "--resume") == 0  # keeps its horizon
    assert "trained on 16 pairs" in capsys.readouterr().out


def test_resume_on_an_empty_folder_starts_the_run_and_says_so(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    words = ("--data", tiny_data, "--run", run, "--resume", *TINY, "--training.epochs", "1")
    assert command("train", *words) == 0
    assert (run / "checkpoints" / "last.pt").exists()
    assert f"nothing to resume in {run}: a new run begins" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--training.device", "nonsense:9"], "device"),
        (["--budget", "10s"], "a budget of 10s leaves no time to train"),
        (["--budget", "5m", "--resume"], "--resume needs to know which run: name its folder with --run"),
    ],
)
def test_what_needs_no_data_is_refused_before_any_is_drawn(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def drawn(*_: object, **__: object) -> None:
        raise AssertionError("it draws")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("monet.run.data.find_data", drawn)
    assert command("submit", "--data", "demo", *words) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_other_data_than_the_runs_is_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_folder(tmp_path / "d" / "trainA", 3, 0)
    fill_folder(tmp_path / "d" / "trainB", 3, 9)
    assert command("submit", "--data", tmp_path / "d", "--run", finished, "--resume") == 2
    assert "saw 12 photos and 5 paintings; here are 3 photos and 3 paintings" in capsys.readouterr().err


def test_a_recipe_that_does_not_fit_the_run_is_refused_and_nothing_is_lost(
    finished: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    words = ("--data", tiny_data, "--run", finished, "--resume")
    assert command("submit", *words, "--recipe", "kaggle-top15") == 2
    assert "in this run and" in capsys.readouterr().err
    assert command("submit", *words, "--model.width", "8") == 2
    assert "model.width is 4 in this run and 8 here: a run cannot change it" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_a_torn_checkpoint_is_refused_and_the_named_ones_are_still_there(
    finished: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(finished, run)
    last = run / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:5000])
    assert command("submit", "--data", tiny_data, "--run", run, "--resume") == 2
    assert "is torn or not a checkpoint (5000 bytes)" in capsys.readouterr().err
    shutil.copy(run / "checkpoints" / "epoch-0001.pt", last)
    assert command("submit", "--data", tiny_data, "--run", run, "--resume") == 0
    one, two = (torch.load(r / "checkpoints" / "last.pt", weights_only=True)["networks"] for r in (finished, run))
    weight = "layers.2.weight"
    assert torch.equal(one["generator_ab"][weight], two["generator_ab"][weight])


MISTAKES = [
    (["--training.epochs", "0"], "training.epochs is 0: give at least 1, or null"),
    (
        ["--training.epocs", "1"],
        "unknown option --training.epocs: --help lists them all; did you mean --training.epochs?",
    ),
    (["--recipe", "qick-cpu"], "no recipe 'qick-cpu': give "),
    (["--budget", "5"], "budget: '5' is not a duration: write it as 5h, 45m, 90s or 1h30m"),
    (["--training.epochs", "1", "--training.device", "tpu0"], "no device 'tpu0'"),
    (
        ["--training.epochs", "1", "--budget", "3s"],
        "a budget of 3s leaves no time to train: ending alone takes up to 20s; give --budget some minutes",
    ),
    ([], "nothing says when to end: give --training.epochs, --horizon or --budget"),
    (["--resume", "please"], "unrecognized arguments: please"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_exits_2_with_one_line_and_leaves_nothing_behind(
    words: list[str], message: str, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("submit", "--data", tiny_data, "--run", tmp_path / "run", *TINY, *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere", "no folder"),
        ("empty", "holds nothing"),
        ("auto", "no data in /kaggle/input/competitions/gan-getting-"),
    ],
)
def test_data_that_is_not_there_exits_2(
    data: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "empty").mkdir()
    assert command("submit", "--data", data, "--budget", "5m") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    folder = tmp_path / "spoilt"
    fill_folder(folder / "photo_jpg", 6, 0)
    fill_folder(folder / "monet_jpg", 4, 50)
    whole = (folder / "photo_jpg" / "0.jpg").read_bytes()
    (folder / "photo_jpg" / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "monet_jpg" / "notes.txt").write_text("not a painting")
    return folder


def test_a_photo_that_cannot_be_painted_stops_the_command_before_training(
    spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("submit", "--data", spoilt, "--run", tmp_path / "run", *SMALL) == 2
    error = capsys.readouterr().err
    assert "torn.jpg (truncated); mend or remove these files, or add --skip-bad" in error
    assert not (tmp_path / "run").exists()


def test_bad_files_are_named_and_left_out_on_request(
    spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Six photos are too few for the competition, so the last check says no: exit 1.
    assert command("submit", "--data", spoilt, "--run", tmp_path / "run", "--skip-bad", *SMALL) == 1
    captured = capsys.readouterr()
    assert "left out of training: " in captured.err
    assert "notes.txt (not an image)" in captured.err
    assert "left out, because they cannot be read: " in captured.out
    assert "torn.jpg" in captured.out
    assert "is not valid: 6 images: expected 7000 to 10000" in captured.err
    assert "the competition takes 7000 to 10000 images: an archive of 7 will not be valid" in captured.err
    assert "images.zip: 6 images, NOT VALID by the kaggle rules" in captured.out
    assert "are kept" in captured.err
    assert (tmp_path / "run" / "images.zip").exists()


def test_training_goes_on_without_bad_files(spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train", "--data", spoilt, "--run", tmp_path / "run", *SMALL) == 0
    captured = capsys.readouterr()
    assert "torn.jpg (truncated), " in captured.err
    assert "python -m pipelines.translate --checkpoint " in captured.out


def test_help_names_units_defaults_and_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("submit", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("5h, 45m, 90s, 1h30m", "--training.learning_rate", "default: auto", "kaggle-top15", "--skip-bad"):
        assert words in text


def test_an_archive_that_could_not_be_written_is_refused_before_training(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("submit", "--data", tiny_data, "--run", tmp_path / "run", *SMALL, "--zip", tmp_path) == 2
    assert f"error: {tmp_path} is a folder: give the name of a file\n" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_error_starts_on_a_line_of_its_own_below_an_open_bar(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise MonetError("the disk is on fire")

    monkeypatch.setattr(checkpoint, "save", broken)
    assert command("train", "--data", tiny_data, "--run", tmp_path / "run", *SMALL) == 1
    error = capsys.readouterr().err
    assert "training" in error
    assert error.splitlines()[-1] == "error: the disk is on fire"


def test_the_bar_of_training_shows_pairs_losses_and_time_left(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", "--data", tiny_data, "--run", tmp_path / "run", *SMALL) == 0
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(r"100%\|.*\| 16 pairs, \S+ pairs/s, G \d\.\d+ D \d\.\d+, lr \S+$", last)


def test_a_terminal_that_lacks_a_character_is_no_reason_to_fail(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    words = [sys.executable, "-m", "pipelines.generate", "--help"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "256?256" in done.stdout
