from __future__ import annotations

import json
import os
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monet import checkpoint
from monet.errors import InputError
from monet.run_folder.checkpoints import find_candidates
from monet.run_folder.folder import RunFolder
from monet.run_folder.scores import best_candidate
from tests.conftest import TINY, fill_folder
from tests.pipelines.conftest import command

CHANGING = [
    *TINY,
    *("--training.lambda_cycle", "2"),
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
        paint = ("--photos", photos, "--zip", archive, "--precision", "fp32")  # that of the run
        assert command("generate", "--checkpoint", item["checkpoint"], *paint) == 0
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
    assert lines[-2] == f"wrote {run / 'report.html'} and {tmp_path / 'found.json'}"
    assert lines[-1].endswith(f"--run {run} --resume --paint-with {best}")


def test_the_report_is_one_file_that_needs_no_network(run: Path, scoring: list[object]) -> None:
    assert command("compare", "--run", run, *scoring) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    for words in ("epoch-0001.pt", "Score by epoch", "Closest to a training painting", "Cycle consistency"):
        assert words in page
    assert page.count('<img src="data:image/jpeg;base64,') >= 6 * 4 + 4 * 3


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
    elsewhere = ("--training.workers", "1", "--tracking", "tensorboard")  # nothing that changes what is learned
    assert command("train", *data, other, *CHANGING, "3", "--training.seed", "1", *elsewhere) == 0
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


def test_an_empty_name_of_a_checkpoint_trains_nothing(
    run: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "checkpoints" / "last.pt").read_bytes()
    words = ("--data", tiny_data, "--run", run, "--resume", "--training.epochs", "9", "--paint-with", "")
    assert command("submit", *words) == 2
    assert "--paint-with names no checkpoint: give its file, such as last.pt, or best" in capsys.readouterr().err
    assert (run / "checkpoints" / "last.pt").read_bytes() == before


def best_of(run: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `--paint-with best` paints with, by what it says."""
    capsys.readouterr()
    words = ("--data", tiny_data, "--run", run, "--resume", "--score", "no", "--paint-with", "best")
    assert command("submit", *words) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("painted with ")]
    return Path(line.removeprefix("painted with ").removesuffix(", as asked for")).name


def test_best_counts_the_generators_that_are_there_now(
    run: Path, scoring: list[object], tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data", tiny_data, "--run", run, "--resume", "--score", "no", "--paint-with", "best")
    assert command("submit", *words) == 2
    assert f"no checkpoint of {run} has a score: python -m pipelines.compare --run {run}" in capsys.readouterr().err
    assert command("compare", "--run", run, *scoring) == 0
    lines = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    first, second, third = (run / "checkpoints" / item["checkpoint"] for item in sorted(lines, key=by_mifid))
    assert best_of(run, tiny_data, capsys) == first.name

    contents = checkpoint.load(first)  # it changes: its score says nothing any more
    next(iter(contents["networks"]["generator_ab"].values())).add_(1)
    checkpoint.save(first, contents)
    assert best_of(run, tiny_data, capsys) == second.name
    second.rename(second.with_name("mine.pt"))  # another name for the same generator
    assert best_of(run, tiny_data, capsys) in {"mine.pt", "last.pt"}
    second.with_name("mine.pt").unlink()
    (run / "checkpoints" / "last.pt").write_bytes(third.read_bytes())
    assert best_of(run, tiny_data, capsys) == third.name
    assert command("compare", "--run", run, *scoring) == 0  # what it advised
    assert best_of(run, tiny_data, capsys) in {first.name, third.name}


def test_checkpoints_that_a_run_went_back_behind_are_neither_ranked_nor_best(
    run: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(run)
    kept = {name: (folder.checkpoints / name).read_bytes() for name in ("epoch-0002.pt", "epoch-0003.pt")}
    for candidate in find_candidates(run):
        row = {"checkpoint": candidate.path.name, "generator": candidate.digest, "weights_used": "ema", "basis": {}}
        with open(folder.scores, "a") as file:
            file.write(json.dumps({**row, "mifid": 100 - candidate.pairs}) + "\n")
    assert best_candidate(folder).path.name == "epoch-0003.pt"
    shutil.copy(folder.checkpoints / "epoch-0001.pt", folder.last)
    again = ("--data", tiny_data, "--run", run, "--resume", "--training.learning_rate", "0.001")
    assert command("train", *again, "--training.epochs", "2") == 0
    assert "the run resumes after epoch 1: epoch-0002.pt and" in capsys.readouterr().err
    assert {name: (run / "abandoned-1" / name).read_bytes() for name in kept} == kept
    assert (folder.checkpoints / "epoch-0002.pt").read_bytes() != kept["epoch-0002.pt"]
    assert [candidate.path.name for candidate in find_candidates(run)] == ["epoch-0001.pt", "epoch-0002.pt"]
    assert best_candidate(folder).path.name == "epoch-0001.pt"  # the only one with a score


def by_mifid(values: dict[str, Any]) -> float:
    return float(values["mifid"])


def test_best_is_taken_where_most_checkpoints_were_scored_alike(
    run: Path, scoring: list[object], tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("compare", "--run", run, *scoring) == 0
    lines = [json.loads(line) for line in (run / "scores.jsonl").read_text().splitlines()]
    ranked = sorted(lines, key=by_mifid)
    with open(run / "scores.jsonl", "a") as file:  # a score of other photos, of one checkpoint alone
        other = {**ranked[-1], "mifid": 0.001, "basis": {**ranked[-1]["basis"], "photos": "others"}}
        file.write(json.dumps(other) + "\n")
    assert best_of(run, tiny_data, capsys) == ranked[0]["checkpoint"]


def test_painting_with_the_best_leaves_the_comparison_where_it_is(
    run: Path, scoring: list[object], tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("compare", "--run", run, *scoring) == 0
    before = (run / "report.html").read_text()
    best_of(run, tiny_data, capsys)
    assert (run / "report.html").read_text() == before


def test_runs_are_counted_once_and_all_of_them(
    run: Path, scoring: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = Path(shutil.copytree(run, tmp_path / "deeper" / "first"))
    monkeypatch.chdir(run)
    words = ("--run", ".", run, "--run", twin, "--report", tmp_path / "report.html")
    found = numbers(tmp_path / "found.json", *words, *scoring, "--sample", "4")
    paths = {Path(item["checkpoint"]).resolve() for item in found["checkpoints"]}
    assert len(found["checkpoints"]) == len(paths) == 6
    assert found["repeats"] == []  # the same generators are no repetition
    page = (tmp_path / "report.html").read_text()
    assert f"{twin}/epoch-0001.pt" in page
    assert f"{run}/epoch-0001.pt" in page


def test_a_run_that_cannot_be_written_to_is_compared_all_the_same(
    run: Path, scoring: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "scores.jsonl").mkdir()
    found = numbers(tmp_path / "found.json", "--run", run, *scoring, "--report", tmp_path / "report.html")
    assert len(found["checkpoints"]) == 3
    assert "the score is not kept with its run: cannot write" in capsys.readouterr().err


def test_a_checkpoint_that_goes_on_meanwhile_is_ranked_as_what_it_is(
    run: Path, scoring: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = run / "checkpoints"
    (checkpoints / "epoch-0003.pt").unlink()
    whole = checkpoint.load
    read: list[str] = []

    def replaced(path: Path) -> dict[str, Any]:
        read.append(path.name)
        if path.name == "last.pt" and read.count("last.pt") == 2:  # a training replaced it since it was listed
            return whole(checkpoints / "epoch-0002.pt")
        if path.name == "epoch-0001.pt" and read.count("epoch-0001.pt") == 2:
            raise InputError("it is gone")
        return whole(path)

    monkeypatch.setattr(checkpoint, "load", replaced)
    found = numbers(tmp_path / "found.json", "--run", run, *scoring)
    assert sorted((Path(item["checkpoint"]).name, item["pairs"]) for item in found["checkpoints"]) == [
        ("epoch-0002.pt", 16),
        ("last.pt", 16),
    ]


@pytest.mark.parametrize("name", ["a$b_$c", "_first", "first run", "<b>"])
def test_a_run_may_have_any_name(trained: Path, scoring: list[object], tmp_path: Path, name: str) -> None:
    run = Path(shutil.copytree(trained, tmp_path / name))
    assert command("compare", "--run", run, *scoring, "--sample", "4") == 0
    assert "Score by epoch" in (run / "report.html").read_text()


def test_a_photo_may_have_any_name(run: Path, scoring: list[object], photos: Path, tmp_path: Path) -> None:
    odd = Path(shutil.copytree(photos, tmp_path / "odd"))
    for number, photo in enumerate(sorted(odd.iterdir())):
        photo.rename(odd / os.fsdecode(b"caf\xe9 %d.jpg" % number))
    assert command("compare", "--run", run, *scoring, "--photos", odd) == 0
    assert "caf? " in (run / "report.html").read_text(encoding="utf-8")


def test_raw_weights_are_painted_by_generate(
    run: Path, scoring: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("compare", "--run", run, *scoring, "--weights", "raw") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("paint with it: python -m pipelines.generate --checkpoint ")
    assert "--weights raw" in last


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
    assert f"checkpoint {torn} is damaged: it is torn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sample", "1"], "a sample of 1 photos: give 2 to 12"),
        (["--sample", "13"], "a sample of 13 photos: give 2 to 12"),
        (["--photos", "nowhere"], "no folder nowhere"),
        (["--reference", "nowhere"], "no folder or archive nowhere"),
        (["--feature-layer", "2048"], "gives the same features for any image"),
        (["--report", "."], ". is a folder: give the name of a file"),
        (["--seed", "-1"], "--seed is -1: give 0 to"),
        (["--seed", str(2**64)], f"--seed is {2**64}: give 0 to"),
        (["--train-paintings", "nowhere"], "no folder or archive nowhere"),
        (["--device", "abacus"], "no device 'abacus'"),
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
    for photo in photos.iterdir():
        if photo.name != "0.jpg":
            (spoilt / photo.name).write_bytes(b"nothing")
    assert command("compare", *words, "--skip-bad") == 2
    assert f"{spoilt}: 1 of its photos can be painted; a score needs at least two" in capsys.readouterr().err


def test_reading_the_json_back_gives_finite_numbers(run: Path, scoring: list[object], tmp_path: Path) -> None:
    found = numbers(tmp_path / "found.json", "--run", run, *scoring)
    items = [*found["checkpoints"], found["unpainted"]]
    values = [value for item in items for value in item.values() if isinstance(value, float)]
    assert len(values) > 50
    assert np.isfinite(values).all()
