"""`export`: what is written, that nothing is replaced, and nothing written that is wrong."""

from __future__ import annotations

import json
import random
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import monet
from monet.checkpoint import model
from monet.checkpoint.contents import digest
from monet.errors import InputError, MonetError
from monet.exporting import check, graph
from monet.run_folder.checkpoints import generator_digest
from monet.run_folder.folder import RunFolder
from monet.run_folder.scores import last_score
from tests.conftest import TINY_SETTINGS, fill_folder, picture
from tests.pipelines.conftest import command

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "painter"
    settings = {"training.epochs": 1, "model.generator": "resnet", "model.skip": False, "training.lambda_cycle": 2.0}
    monet.train(tiny_data, run=folder, settings={**settings, **TINY_SETTINGS})
    return folder


@pytest.fixture(scope="module")
def checkpoint(run: Path) -> Path:
    return run / "checkpoints" / "last.pt"


def test_the_command_writes_graphs_that_give_the_same_and_says_how_they_compare(
    checkpoint: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "painter.onnx"
    words = ("--onnx", out, "--fp16", "--int8", "--photos", tiny_data / "testA", "--direction", "ba")
    assert command("export", "--checkpoint", checkpoint, *words) == 0
    shown = capsys.readouterr().out
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "painter-fp16.onnx",
        "painter-int8.onnx",
        "painter.onnx",
    ]
    assert [line.split()[0] for line in shown.splitlines()[-4:]] == ["PyTorch", "fp32", "fp16", "int8"]
    assert f"wrote {out}" in shown
    given = np.asarray(picture(1, (70, 33)))
    floats = np.ascontiguousarray(given.transpose(2, 0, 1)[None] / np.float32(127.5) - 1, dtype=np.float32)
    session = onnxruntime.InferenceSession(str(out))
    translator = monet.load(checkpoint, device="cpu", precision="fp32")
    expected = translator.translate(torch.from_numpy(floats), "ba").numpy()
    assert np.abs(session.run(None, {"images": floats})[0] - expected).max() < 1e-3
    again = out.read_bytes()
    assert command("export", "--checkpoint", checkpoint, "--onnx", out) == 0  # its own file may be replaced
    assert out.read_bytes() != again  # the other direction


def test_a_model_file_is_loaded_like_its_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    monet.export(checkpoint, safetensors=path)
    given = picture(3, (50, 41))
    for direction in ("ab", "ba"):
        expected = monet.load(checkpoint, device="cpu", precision="fp32").translate(given, direction)
        assert (
            monet.load(path, device="cpu", precision="fp32").translate(given, direction).tobytes() == expected.tobytes()
        )
    monet.export(path, onnx=tmp_path / "of-a-model.onnx")
    assert path.stat().st_size < checkpoint.stat().st_size / 2


def test_a_folder_is_painted_with_a_model_file_as_with_its_checkpoint(
    checkpoint: Path, tiny_data: Path, tmp_path: Path
) -> None:
    monet.export(checkpoint, safetensors=tmp_path / "model.safetensors")
    pictures = []
    for name, path in (("run", checkpoint), ("model", tmp_path / "model.safetensors")):
        monet.paint(path, tiny_data / "testA", tmp_path / f"{name}.zip", device="cpu", precision="fp32")
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            pictures.append([archive.read(member) for member in archive.namelist()])
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 6


def test_a_folder_for_a_hub_has_a_card_with_the_score(
    run: Path, tiny_data: Path, random_weights: Path, tmp_path: Path
) -> None:
    own = tmp_path / "painter"
    shutil.copytree(run, own)
    options = monet.ScoreOptions(feature_layer="64", inception_weights=random_weights)
    comparison = monet.compare(own, tiny_data / "testA", tiny_data / "trainB", options=options)
    folder = tmp_path / "hub"
    monet.export(own / "checkpoints" / "last.pt", hub=folder, pixels=True)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.onnx", "model.safetensors"]
    text = (folder / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front)["pipeline_tag"] == "image-to-image"
    assert "# painter" in body
    assert f"| FID | {comparison.leader.evaluation.score.fid:.4g} |" in body
    assert "12 images of the source domain and 5 of the target domain, seen in 8 pairs" in body
    assert "| `training.lambda_cycle` | 2.0 |" in body
    assert "(B, H, W, 3) uint8" in body
    assert "\n\n\n" not in body
    monet.export(own / "checkpoints" / "last.pt", hub=folder)  # its own card may be replaced
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("license: other", "license: cc0-1.0"))
    with pytest.raises(InputError, match=r"README\.md is there and is not a model card as monet wrote it"):
        monet.export(own / "checkpoints" / "last.pt", hub=folder)
    unscored = tmp_path / "unscored"
    monet.export(run / "checkpoints" / "last.pt", hub=unscored)
    assert "Not measured." in (unscored / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to write: give --onnx, --safetensors, --hub or --page"),
        (["--onnx", "{}/model.pb"], "model.pb: give a name that ends in .onnx"),
        (["--onnx", "{}/a.onnx", "--int8"], "--int8 is calibrated on photos: name a folder of them with --photos"),
        (
            ["--safetensors", "{}/a.safetensors", "--fp16"],
            "--fp16 and --int8 are ONNX files: give --onnx or --hub, too",
        ),
        (["--onnx", "{}/a.onnx", "--photos", "{}/none"], "no folder "),
        (["--onnx", "{}/mine.onnx"], "mine.onnx is there and is not an ONNX file of monet's"),
        (["--safetensors", "{}/mine.safetensors"], "mine.safetensors is there and is not a model file of monet's"),
        (["--hub", "{}"], "README.md is there and is not a model card as monet wrote it"),
        (["--page", "{}"], "no onnxruntime-web in node_modules/onnxruntime-web: npm install onnxruntime-web, or name"),
    ],
)
def test_what_cannot_be_written_is_told_before_the_work(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    for name in ("mine.onnx", "mine.safetensors", "README.md"):
        (tmp_path / name).write_text("mine")
    assert command("export", "--checkpoint", checkpoint, *(word.format(tmp_path) for word in words)) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "mine.onnx", "mine.safetensors"]


def test_a_direction_that_is_not_trained_is_refused(tiny_data: Path, tmp_path: Path) -> None:
    one_way = {"training.epochs": 1, "training.lambda_cycle": 0.0}
    monet.train(tiny_data, run=tmp_path / "run", settings={**one_way, **TINY_SETTINGS})
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    with pytest.raises(InputError, match="direction ba is not trained in this run: give ab"):
        monet.export(path, onnx=tmp_path / "a.onnx", direction="ba")
    monet.export(path, safetensors=tmp_path / "a.safetensors")
    assert monet.load(tmp_path / "a.safetensors").directions == ("ab",)


def test_the_code_on_a_model_card_runs(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pixels in (False, True):
        folder = tmp_path / str(pixels)
        monet.export(checkpoint, hub=folder, pixels=pixels)
        monkeypatch.chdir(folder)
        for name in ("photo.jpg", "painting.jpg"):
            picture(4, (60, 41)).save(name)
        by_library, by_graph = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
        exec(by_library, {})
        first = np.asarray(Image.open("translated.png")).astype(int)
        assert Image.open("back.png").size == (60, 41)
        exec(by_graph, {})
        assert np.abs(np.asarray(Image.open("translated.png")) - first).max() <= 2


def test_variants_that_there_are_not_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    for variants in ("fp16", ["fp32"]):
        with pytest.raises(InputError, match="give a list of fp16, int8, or none"):
            monet.export(checkpoint, onnx=tmp_path / "a.onnx", variants=variants)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_result_is_short_to_look_at(checkpoint: Path, tmp_path: Path) -> None:
    assert len(repr(monet.export(checkpoint, onnx=tmp_path / "a.onnx"))) < 1000


def test_a_graph_that_gives_something_else_is_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = graph.onnx_graph

    def wrong(*given: Any, **named: Any) -> Any:
        made = right(*given, **named)
        bias = next(value for value in made.graph.initializer if list(value.dims) == [3])
        bias.raw_data = (np.frombuffer(bias.raw_data, np.float32) + 0.1).tobytes()
        return made

    monkeypatch.setattr(graph, "onnx_graph", wrong)
    assert command("export", "--checkpoint", checkpoint, "--onnx", tmp_path / "a.onnx") == 1
    assert "the graph does not give what PyTorch does" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_graph_of_no_numbers_is_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = graph.onnx_graph

    def wrong(*given: Any, **named: Any) -> Any:
        made = right(*given, **named)
        bias = next(value for value in made.graph.initializer if list(value.dims) == [3])
        bias.raw_data = np.full(3, np.nan, np.float32).tobytes()
        return made

    monkeypatch.setattr(graph, "onnx_graph", wrong)
    with pytest.raises(MonetError, match="the graph does not give what PyTorch does: nan grey levels off"):
        monet.export(checkpoint, onnx=tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_program_is_not_replaced(checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    for path in (tmp_path / "a.safetensors", tmp_path / "hub" / "model.safetensors"):
        path.parent.mkdir(exist_ok=True)
        save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"a\.safetensors is there and is not a model file of monet's"):
        monet.export(checkpoint, safetensors=tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors is there and is not a model file of monet's"):
        monet.export(checkpoint, hub=tmp_path / "hub")


def test_one_name_is_for_one_output(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would be written twice"):
        monet.export(checkpoint, onnx=tmp_path / "model-fp16.onnx", hub=tmp_path, variants=["fp16"])
    monet.export(checkpoint, hub=tmp_path / "hub", variants=["fp16"])
    with pytest.raises(InputError, match=r"model-fp16\.onnx is of an earlier export: add --fp16, or move it away"):
        monet.export(checkpoint, hub=tmp_path / "hub")


@pytest.mark.parametrize(
    "change",
    [
        {"fid": 10**400},
        {"fid": float("nan")},
        {"mifid": "1"},
        {"kid_mean": None},
        {"num_generated": 6.5},
        {"feature_layer": "64\n# Injected"},
    ],
)
def test_a_score_that_is_none_is_not_on_the_card(run: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    own = tmp_path / "painter"
    shutil.copytree(run, own)
    folder = RunFolder(own)
    generator = monet.load(folder.last)._generators["ab"]
    score = {"fid": 1.0, "mifid": 1.0, "memorization_distance": 1.0, "kid_mean": 1.0}
    values = {"checkpoint": "last.pt", "generator": generator_digest(generator), "weights_used": "ema", "basis": {}}
    whole = {**values, **score, "num_generated": 6, "num_reference": 5, "feature_layer": "64"}
    folder.scores.write_text(json.dumps(whole) + "\n")
    assert last_score(folder, generator) == whole
    folder.scores.write_text(json.dumps({**whole, **change}) + "\n")
    assert last_score(folder, generator) is None


def test_photos_that_cannot_be_read_are_left_out_unless_all_are(checkpoint: Path, tmp_path: Path) -> None:
    photos = fill_folder(tmp_path / "photos", 3, 0)
    (photos / "1.jpg").write_bytes(b"")
    monet.export(checkpoint, onnx=tmp_path / "a.onnx", photos=photos)
    Image.new("RGB", (40, 40), "navy").save(photos / "2.jpg")  # what is flat is not compared
    monet.export(checkpoint, onnx=tmp_path / "a.onnx", photos=photos)
    for path in photos.iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of its files is an image to compare with \(.*empty file\)"):
        monet.export(checkpoint, onnx=tmp_path / "b.onnx", photos=photos)


def test_without_the_libraries_the_error_says_how_to_install_them(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MonetError, match="pip install onnx onnxruntime onnxscript"):
        monet.export(checkpoint, onnx=tmp_path / "a.onnx")
    monkeypatch.setitem(__import__("sys").modules, "safetensors.torch", None)
    with pytest.raises(MonetError, match="pip install safetensors"):
        monet.export(checkpoint, safetensors=tmp_path / "a.safetensors")


# --- model files of strangers -----------------------------------------------------------------------------------------


@pytest.fixture
def model_file(checkpoint: Path, tmp_path: Path) -> Path:
    monet.export(checkpoint, safetensors=tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_flipped_bit_and_a_cut_end_are_found(model_file: Path) -> None:
    data = bytearray(model_file.read_bytes())
    data[-20] ^= 64
    model_file.write_bytes(data)
    with pytest.raises(InputError, match=r"model\.safetensors is damaged: .*digest"):
        monet.load(model_file)
    model_file.write_bytes(data[:-100])
    with pytest.raises(InputError, match=r"model\.safetensors is damaged: "):
        monet.load(model_file)


def test_whatever_bit_of_a_model_file_flips_it_is_refused_or_says_nothing(model_file: Path) -> None:
    data, whole, chance = model_file.read_bytes(), digest(model.load(model_file)), random.Random(0)
    header = 8 + int.from_bytes(data[:8], "little")
    places = [chance.randrange(header) for _ in range(150)] + [chance.randrange(len(data)) for _ in range(100)]
    refused = 0
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        model_file.write_bytes(flipped)
        try:
            assert digest(model.load(model_file)) == whole
        except InputError:
            refused += 1
    assert refused > 200


def test_a_header_that_is_far_too_long_is_not_read(model_file: Path) -> None:
    model_file.write_bytes((2**30).to_bytes(8, "little") + b"{" + b" " * 100)
    with pytest.raises(InputError, match="its header has 1,073,741,824 bytes"):
        monet.load(model_file)


def test_a_model_of_another_program_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="is not one of monet's: it holds no 'monet' mark"):
        monet.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda contents: contents["config"]["model"].update(width=6), "has the shape"),
        (lambda contents: contents["config"]["model"].update(width=10**9), "model.width"),
        (lambda contents: contents["config"].update(nonsense=1), "nonsense is not a setting"),
        (lambda contents: contents["generators"]["ab"].pop("layers.1.weight"), "layers.1.weight is missing"),
        (lambda contents: contents["learned"].update(pairs=-1), "learned.pairs is -1"),
        (lambda contents: contents["learned"].pop("photos"), "learned holds no photos"),
        (lambda contents: contents.update(generators={}), "it holds no generator"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(model_file: Path, change: Any, message: str) -> None:
    contents = model.load(model_file)
    change(contents)
    model.save(model_file, contents)
    with pytest.raises(InputError, match=message):
        monet.load(model_file)


def test_another_version_and_a_torn_mark_are_refused(model_file: Path) -> None:
    from safetensors.torch import save_file

    for mark, message in (({"version": 9}, "format version 9; this monet reads 1"), ([], "format version None")):
        save_file({"weight": torch.zeros(2)}, model_file, {"monet": json.dumps(mark)})
        with pytest.raises(InputError, match=message):
            monet.load(model_file)
    save_file({"weight": torch.zeros(2)}, model_file, {"monet": "{"})
    with pytest.raises(InputError, match="its settings are no JSON"):
        monet.load(model_file)


def test_the_sizes_that_are_compared_are_five_and_the_numbers_two() -> None:
    assert len({image.shape[-2:] for image in check.batches([picture(0)], pixels=False)}) == 5
    assert {len(image) for image in check.batches([picture(0)], pixels=True)} == {1, 2}
