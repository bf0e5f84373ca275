from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch

from tests.conftest import REAL_DATA, fill_folder, needs_real_data
from tests.pipelines.conftest import command

TRUNK = REAL_DATA.parent / "inception" / "inception-2015-12-05-trunk768.pth"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return fill_folder(tmp_path / "painted", 8, 0), fill_folder(tmp_path / "monet", 6, 50)


def test_scores_are_printed_and_written(
    folders: tuple[Path, Path], random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painted, monet = folders
    out = tmp_path / "out.json"
    words = ("--generated", painted, "--reference", monet, "--feature-layer", "192", "--inception-weights")
    assert command("evaluate", *words, random_weights, "--epsilon", "0.2", "--json", out) == 0
    values = json.loads(out.read_text())
    assert {"fid", "mifid", "memorization_distance", "kid_mean", "kid_std"} <= values.keys()
    assert (values["num_generated"], values["num_reference"]) == (8, 6)
    assert (values["feature_layer"], values["epsilon"], values["kid_subset_size"]) == ("192", 0.2, 3)
    assert not values["weights_known"]
    captured = capsys.readouterr()
    assert f"FID                    {values['fid']:.5f}" in captured.out
    assert "for ranking only" in captured.out
    assert "are not torch-fidelity's released weights" in captured.err


def test_an_archive_scores_as_its_folder_does_and_the_second_time_from_the_cache(
    folders: tuple[Path, Path], random_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painted, monet = folders
    archive = tmp_path / "images.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for image in painted.iterdir():
            file.write(image, image.name)
    results = []
    for generated in (painted, archive):
        out = tmp_path / "out.json"
        words = ("--generated", generated, "--reference", monet, "--feature-layer", "192", "--json", out)
        assert command("evaluate", *words, "--inception-weights", random_weights) == 0
        results.append(json.loads(out.read_text()))
        assert ("scoring" in capsys.readouterr().err) == (generated == painted)
    assert results[0] == results[1]


def test_a_set_that_is_scored_against_itself_is_warned_of(
    folders: tuple[Path, Path], random_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--generated", folders[0], "--reference", folders[0], "--feature-layer", "64", "--inception-weights")
    assert command("evaluate", *words, random_weights) == 0
    assert "hold the same images: a distance of 0 says nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--generated", "nowhere"], "no folder or archive nowhere"),
        (["--epsilon", "0"], "epsilon is 0.0: give a number above 0 and up to 1"),
        (["--feature-layer", "2048"], "gives the same features for any image"),
        (["--feature-layer", "128"], "invalid choice: '128'"),
        (["--inception-weights", "nowhere.pth"], "weights nowhere.pth cannot be read"),
        (["--train-paintings", "nowhere"], "no folder or archive nowhere"),
        (["--json", "."], ". is a folder: give the name of a file"),
    ],
)
def test_a_mistake_exits_2_with_one_line(
    words: list[str],
    message: str,
    folders: tuple[Path, Path],
    random_weights: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    defaults = ["--generated", folders[0], "--reference", folders[1], "--feature-layer", "64"]
    assert command("evaluate", *defaults, "--inception-weights", random_weights, *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize("option", ["--generated", "--reference", "--train-paintings", "--inception-weights"])
def test_a_named_pipe_exits_2_at_once(
    option: str, folders: tuple[Path, Path], random_weights: Path, pipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--generated", folders[0], "--reference", folders[1], "--inception-weights", random_weights]
    assert command("evaluate", *words, "--feature-layer", "64", option, pipe) == 2
    assert f"error: {pipe} cannot be read: it is a named pipe" in capsys.readouterr().err


def test_without_weights_and_network_it_says_how_to_get_them(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    assert command("evaluate", "--generated", folders[0], "--reference", folders[1]) == 2
    error = capsys.readouterr().err
    assert "no download (no network): put weights-inception-2015-12-05-6726825d.pth" in error


@pytest.mark.slow
@needs_real_data
def test_the_photos_score_what_the_public_formulas_give(tmp_path: Path) -> None:
    """7,038 photos against 300 paintings at layer 768: figures of an independent computation."""
    found = {}
    for epsilon in ("0.1", "0.2"):
        out = tmp_path / "out.json"
        words = ("--generated", REAL_DATA / "photo_jpg", "--reference", REAL_DATA / "monet_jpg", "--json", out)
        layer = ("--feature-layer", "768", "--inception-weights", TRUNK, "--epsilon", epsilon)
        assert command("evaluate", *words, *layer) == 0
        found[epsilon] = json.loads(out.read_text())
    assert found["0.1"]["fid"] == pytest.approx(0.802309, rel=1e-4)
    assert found["0.1"]["memorization_distance"] == pytest.approx(0.109791, rel=1e-4)
    assert found["0.1"]["mifid"] == pytest.approx(0.802309, rel=1e-4)
    assert found["0.2"]["mifid"] == pytest.approx(7.30760, rel=1e-4)
