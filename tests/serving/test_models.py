from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import monet
from monet.errors import InputError
from monet.serving.models import Models
from tests.conftest import picture

PIXELS = np.asarray(picture(7, (50, 38)))


def test_models_are_named_by_their_run_and_file_and_by_the_whole_path_where_two_are_alike(
    painter: Path, checkpoint: Path, tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        shutil.copy(checkpoint, tmp_path / folder / "mine.pt")
    models = Models([tmp_path / "one" / "mine.pt", tmp_path / "two" / "mine.pt"], [painter])
    assert models.names == (
        str(tmp_path / "one" / "mine.pt"),
        str(tmp_path / "two" / "mine.pt"),
        "painter/last",
        "painter/epoch-0003",
        "painter/epoch-0002",
        "painter/epoch-0001",
    )


def test_a_checkpoint_of_a_run_that_is_named_itself_too_is_offered_once(painter: Path, checkpoint: Path) -> None:
    names = Models([checkpoint], [painter]).names
    assert names[0] == "painter/last"
    assert len(names) == len(set(names)) == 4


def test_it_paints_what_load_paints(checkpoint: Path) -> None:
    models = Models([checkpoint])
    painted = models.translate("painter/last", PIXELS, "ba")
    np.testing.assert_array_equal(painted, monet.load(checkpoint).translate(PIXELS, "ba"))
    assert np.abs(painted.astype(int) - PIXELS).mean() > 1


def test_a_checkpoint_that_is_written_anew_is_loaded_anew(own_run: Path) -> None:
    last = own_run / "checkpoints" / "last.pt"
    models = Models([], [own_run])
    before = models.translate("painter/last", PIXELS, "ab")
    shutil.copy(own_run / "checkpoints" / "epoch-0001.pt", last)
    os.utime(last, (1, 1))
    after = models.translate("painter/last", PIXELS, "ab")
    np.testing.assert_array_equal(after, models.translate("painter/epoch-0001", PIXELS, "ab"))
    assert (before != after).any()


def test_checkpoints_that_a_run_saves_later_are_offered_too(own_run: Path) -> None:
    kept = own_run / "checkpoints" / "epoch-0002.pt"
    moved = kept.rename(own_run / "later.pt")
    models = Models([], [own_run])
    assert "painter/epoch-0002" not in models.names
    moved.rename(kept)
    assert "painter/epoch-0002" in models.names
    assert models.directions("painter/epoch-0002") == ("ab", "ba")


def test_a_direction_that_was_not_learned_is_an_error_that_names_those_that_were(one_way: Path) -> None:
    models = Models([one_way])
    with pytest.raises(InputError, match="one-way/last has not learned the direction ba: choose ab"):
        models.translate("one-way/last", PIXELS, "ba")


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "painter/lost", "x" * 5000])
def test_only_what_was_named_is_read(checkpoint: Path, name: str) -> None:
    with pytest.raises(InputError, match="no model is called .*choose one of painter/last") as told:
        Models([checkpoint]).translator(name)
    assert len(str(told.value)) < 300


def test_strange_files_are_refused_when_the_models_are_named(tmp_path: Path, checkpoint: Path) -> None:
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(checkpoint.read_bytes()[:-500])
    page = tmp_path / "page.onnx"
    page.write_text("<html>")
    (tmp_path / "empty").mkdir()
    for path, words in (
        (tmp_path / "none.pt", "cannot be read: No such file"),
        (damaged, "damaged"),
        (page, "is no graph that export wrote"),
        (tmp_path / "empty", "holds no model: put files there that end in .pt, .safetensors, .onnx"),
    ):
        with pytest.raises(InputError, match=words):
            Models([path])
    with pytest.raises(InputError, match="no model to offer: give --checkpoint FILE, or --run DIR"):
        Models([])
    with pytest.raises(InputError, match="no run in"):
        Models([], [tmp_path / "none"])
    with pytest.raises(InputError, match="is not the folder of a run: it has no config.yaml"):
        Models([], [tmp_path])


@pytest.mark.parametrize("pixels", [False, True])
def test_an_onnx_file_paints_what_its_checkpoint_paints(checkpoint: Path, tmp_path: Path, pixels: bool) -> None:
    pytest.importorskip("onnxruntime")
    file = tmp_path / "back.onnx"
    monet.export(checkpoint, onnx=file, direction="ba", pixels=pixels)
    models = Models([file])
    assert models.names == ("back",)
    assert models.directions("back") == ("ba",)
    painted = models.translate("back", PIXELS, "ba").astype(int)
    assert np.abs(painted - monet.load(checkpoint, precision="fp32").translate(PIXELS, "ba")).max() <= 1
    with pytest.raises(InputError, match="back has not learned the direction ab"):
        models.translate("back", PIXELS, "ab")


def test_an_onnx_file_with_another_weight_than_was_written_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    file = tmp_path / "painter.onnx"
    monet.export(checkpoint, onnx=file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"graph .*painter\.onnx is damaged: .*; export it again"):
        Models([file])


def test_all_models_in_a_folder_are_offered(painter: Path) -> None:
    names = Models([painter / "checkpoints"]).names
    assert names == ("painter/epoch-0001", "painter/epoch-0002", "painter/epoch-0003", "painter/last")


def test_a_model_file_is_offered_as_well(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    monet.export(checkpoint, safetensors=tmp_path / "both.safetensors")
    assert Models([tmp_path / "both.safetensors"]).directions("both") == ("ab", "ba")
