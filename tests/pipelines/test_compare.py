from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monet import checkpoint
from tests.conftest import TINY, fill_folder
from tests.pipelines.conftest import command

CHANGING = [
    *TINY,
    "--training.ema",
    "0",
    "--training.save_every",
    "1",
    "--training.learning_rate",
    "0.01",
    "--training.epochs",
]
"""Settings under which one epoch changes what is painted."""


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_folder(tmp_path_factory.mktemp("photos") / "photos", 12, 300)


@pytest.fixture(scope="module")
def trained(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of its epochs 1, 2 and 3, the last one also as last.pt."""
    run = tmp_path_factory.mktemp("runs") / "first"
    assert command("train", "--data", tiny_data, "--run", run, *CHANGING, "3") == 0
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "first"))


@pytest.fixture
def scoring(tiny_data: Path, photos: Path, random_weights: Path) -> list[object]:
    words = ["--photos", photos, "--reference", tiny_data / "trainB", "--feature-layer", "192"]
    return [*words, "--inception-weights", random_weights]


def numbers(path: Path, *words: object) -> dict[str, Any]:
    assert command("compare", *words, "--json", path) == 0
    return dict(json.loads(path.read_text()))


def test_every_checkpoint_is_scored_as_evaluate_scores_what_generate_paints_with_it(
    run: Path, scoring: list[object], photos: Path, tiny_data: Path, random_weights: Path, tmp_path: Path
) -> None:
    found = numbers(tmp_path / "found.json", "--run", run, *scoring)
    ranked = found["checkpoints"]
    assert {Path(item["checkpoint"]).name for item in ranked} == {"epoch-0001.pt", "epoch-0002.pt", "epoch-0003.pt"}
    assert [item["mifid"] for item in ranked] == sorted(item["mifid"] for item in ranked)
    assert found["recommended"] == ranked[0]["checkpoint"]
    for item in ranked:
        archive, out = tmp_path / "images.zip", tmp_path / "one.json"
        assert command("generate", "--checkpoint", item["checkpoint"], "--photos", photos, "--zip", archive) == 0
        words = ("--generated", archive, "--reference", tiny_data / "trainB", "--feature-layer", "192")
        assert command("evaluate", *words, "--inception-weights", random_weights, "--json", out) == 0
        alone = json.loads(out.read_text())
        assert alone["fid"] == pytest.approx(item["fid"], rel=1e-9)
        assert alone["mifid_low"] == pytest.approx(item["mifid_low"], rel=1e-9)
        assert item["behind"] == pytest.approx(item["mifid"] - ranked[0]["mifid"])
        assert item["epochs"] == int(Path(item["checkpoint"]).stem[-4:])


def test_the_terminal_shows_a_ranking_and_what_to_submit(
    run: Path, scoring: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = numbers(tmp_path / "found.json", "--run", run, *scoring)
    lines = capsys.readouterr().out.splitlines()
    best = Path(found["recommended"]).name
    assert lines[0].split()[:3] == ["checkpoint", "epochs", "MiFID"]
    assert lines[1].split()[:2] == ["1", f"first/{best}"]
    assert lines[4].lstrip().startswith("the photos, unpainted")
    assert any(line.startswith(f"submit first/{best}: MiFID ") and "the lowest of 3" in line for line in lines)
    assert any("under about 4 points from a single run proves nothing" in line for line in lines)
    assert any("for ranking only" in line for line in lines)
    assert lines[-1] == f"wrote {run / 'report.html'} and {tmp_path / 'found.json'}"


def test_the_report_is_one_file_that_needs_no_network(run: Path, scoring: list[object]) -> None:
    assert command("compare", "--run", run, *scoring) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    for words in ("epoch-0001.pt", "Score by epoch", "Closest to a training painting", "Cycle consistency"):
        assert words in page
    assert page.count('<img src="data:image/jpeg;base64,') >= 6 * 4 + 3 * 4 * 3


def test_a_sample_is_the_same_photos_for_every_checkpoint_and_every_call(
    run: Path, scoring: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = numbers(tmp_path / "a.json", "--run", run, *scoring, "--sample", "8")
    again = numbers(tmp_path / "b.json", "--run", run, *scoring, "--sample", "8")
    other = numbers(tmp_path / "c.json", "--run", run, *scoring, "--sample", "8", "--seed", "1")
    fids = [[item["fid"] for item in found["checkpoints"]] for found in (first, again, other)]
    assert fids[0] == fids[1] != fids[2]
    assert (first["num_photos"], first["sampled_from"]) == (8, 12)
    assert "a sample of 8 of 12 photos" in capsys.readouterr().out


def test_runs_of_one_recipe_are_summed_up_by_mean_and_deviation(
    run: Path, tiny_data: Path, scoring: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, wider = tmp_path / "second", tmp_path / "wider"
    data = ("--data", tiny_data, "--run")
    assert command("train", *data, other, *CHANGING, "3", "--training.seed", "1") == 0
    assert command("train", *data, wider, *CHANGING, "3", "--model.width", "6") == 0
    found = numbers(tmp_path / "found.json", "--run", run, other, wider, *scoring)
    repeats = found["repeats"][0]
    assert len(found["repeats"]) == 1
    scores = {item["checkpoint"]: item["mifid"] for item in found["checkpoints"]}
    last = [scores[str(folder / "checkpoints" / "epoch-0003.pt")] for folder in (run, other)]
    assert repeats["seeds"] == [0, 1]
    assert repeats["mifid_mean"] == pytest.approx(statistics.mean(last))
    assert repeats["mifid_sd"] == pytest.approx(statistics.stdev(last))
    assert "2 runs of one recipe (seeds 0, 1), each by its last checkpoint: MiFID " in capsys.readouterr().out
    assert len((other / "scores.jsonl").read_text().splitlines()) == 3


def test_submit_paints_with_the_best_checkpoint_without_training_on(
    run: Path, scoring: list[object], tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = numbers(tmp_path / "found.json", "--run", run, *scoring)
    (run / "checkpoints" / "last.pt").touch()
    before = (run / "checkpoints" / "last.pt").read_bytes()
    words = ("--data", tiny_data, "--run", run, "--resume", "--score", "no", "--paint-with")
    assert command("submit", *words, "best") == 0
    assert f"painted with {found['recommended']}, as asked for" in capsys.readouterr().out
    archive = tmp_path / "images.zip"
    same = ("--photos", tiny_data / "testA", "--zip", archive, "--precision", "fp32")
    assert command("generate", "--checkpoint", found["recommended"], *same) == 0
    assert archive.read_bytes() == (run / "images.zip").read_bytes()
    assert (run / "checkpoints" / "last.pt").read_bytes() == before
    assert command("submit", *words, "epoch-0001.pt", "--zip", tmp_path / "first.zip") == 0
    assert (tmp_path / "first.zip").exists()


def test_the_best_checkpoint_must_still_be_what_was_scored(
    run: Path, scoring: list[object], tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", tiny_data, "--run", run, "--resume", "--score", "no", "--paint-with")
    assert command("submit", *words, "best") == 2
    assert f"no checkpoint of {run} has a score: python -m pipelines.compare --run {run}" in capsys.readouterr().err
    assert command("compare", "--run", run, *scoring) == 0
    lines = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    best = run / "checkpoints" / min(lines, key=lambda values: values["mifid"])["checkpoint"]
    contents = checkpoint.load(best)
    next(iter(contents["networks"]["generator_ab"].values())).add_(1)
    checkpoint.save(best, contents)
    assert command("submit", *words, "best") == 2
    assert f"{best}, the best one, has changed since it was scored" in capsys.readouterr().err
    best.unlink()
    assert command("submit", *words, "best") == 2
    assert f"{best}, the best one, is gone" in capsys.readouterr().err


def test_a_torn_line_of_scores_is_left_out(run: Path, scoring: list[object], tiny_data: Path) -> None:
    assert command("compare", "--run", run, *scoring) == 0
    with open(run / "scores.jsonl", "a") as file:
        file.write('{"mifid": 0.0, "checkp')
    words = ("--data", tiny_data, "--run", run, "--resume", "--score", "no", "--paint-with", "best")
    assert command("submit", *words) == 0


def test_damage_exits_2_and_is_named(
    run: Path, scoring: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        assert command("compare", "--run", folder, *scoring) == 2
        assert f"{folder} holds no checkpoints: give the folder of a run" in capsys.readouterr().err
    torn = run / "checkpoints" / "epoch-0002.pt"
    torn.write_bytes(torn.read_bytes()[:1000])
    assert command("compare", "--run", run, *scoring) == 2
    assert f"checkpoint {torn} is torn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sample", "1"], "a sample of 1 photos: give 2 to 12"),
        (["--sample", "13"], "a sample of 13 photos: give 2 to 12"),
        (["--photos", "nowhere"], "no folder nowhere"),
        (["--reference", "nowhere"], "no folder or archive nowhere"),
        (["--feature-layer", "2048"], "gives the same features for any image"),
        (["--report", "."], ". is a folder: give the name of a file"),
        (["--seed", "-1"], "--seed is -1: give 0 or more"),
    ],
)
def test_a_mistake_exits_2_with_one_line(
    words: list[str], message: str, trained: Path, scoring: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("compare", "--run", trained, *scoring, *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not (trained / "scores.jsonl").exists()


def test_a_photo_that_cannot_be_read_stops_the_command_or_is_left_out(
    run: Path, scoring: list[object], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = Path(shutil.copytree(photos, tmp_path / "spoilt"))
    (spoilt / "bad.jpg").write_bytes(b"nothing")
    words = ("--run", run, *scoring, "--photos", spoilt)
    assert command("compare", *words) == 2
    assert "bad.jpg" in capsys.readouterr().err
    assert numbers(tmp_path / "found.json", *words, "--skip-bad")["num_photos"] == 12


def test_reading_the_json_back_gives_finite_numbers(run: Path, scoring: list[object], tmp_path: Path) -> None:
    found = numbers(tmp_path / "found.json", "--run", run, *scoring)
    items = [*found["checkpoints"], found["unpainted"]]
    values = [value for item in items for value in item.values() if isinstance(value, float)]
    assert len(values) > 50
    assert np.isfinite(values).all()
