"""The Python API: its documented examples, and what each function takes and returns."""

from __future__ import annotations

import dataclasses
import doctest
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import monet
from monet.display import Display
from monet.errors import InputError, Interrupted
from monet.generation.translator import Translator
from tests.conftest import TINY_SETTINGS, picture

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """A folder with data and a run of one epoch."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copytree(tiny_data, folder / "data")
    settings = {"training.epochs": 1, "training.lambda_cycle": 2.0, **TINY_SETTINGS}
    monet.train(folder / "data", run=folder / "run", settings=settings)
    return folder


@pytest.fixture(scope="module")
def translator(place: Path) -> Translator:
    return monet.load(place / "run" / "checkpoints" / "last.pt", device="cpu", precision="fp32")


def test_the_documented_examples_are_true(
    tiny_data: Path, random_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = doctest.testfile(
        str(ROOT / "docs" / "api.md"),
        module_relative=False,
        globs={"TINY": TINY_SETTINGS, "WEIGHTS": random_weights},
        optionflags=doctest.ELLIPSIS,
        encoding="utf-8",
    )
    assert found.failed == 0
    assert found.attempted > 20


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (7, 5), (1, 1), (128, 20)])
@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_an_image_of_any_size_comes_back_in_its_size(translator: Translator, size: tuple[int, int], direction) -> None:
    image = picture(3, size)
    translated = translator.translate(image, direction)
    assert (translated.size, translated.mode) == (size, "RGB")
    pixels = np.asarray(image)
    assert np.array_equal(translator.translate(pixels, direction), np.asarray(translated))
    assert np.array_equal(translator.translate(pixels[None], direction)[0], np.asarray(translated))


def test_tensors_of_bytes_and_of_floats_are_translated_alike(translator: Translator) -> None:
    pixels = torch.from_numpy(np.stack([np.asarray(picture(seed, (36, 32))) for seed in (1, 2)])).permute(0, 3, 1, 2)
    as_bytes = translator.translate(pixels)
    as_floats = translator.translate(pixels.double() / 127.5 - 1)
    assert (as_bytes.dtype, as_bytes.shape) == (torch.uint8, pixels.shape)
    assert (as_floats.dtype, as_floats.shape) == (torch.float64, pixels.shape)
    assert (as_floats.add(1).mul(127.5).round() - as_bytes).abs().max() <= 1
    assert not as_floats.is_inference()
    assert torch.equal(translator.translate(pixels[0]), as_bytes[0])


def test_a_picture_that_lies_on_its_side_is_translated_upright(translator: Translator) -> None:
    upright, lying = picture(5, (40, 24)), picture(5, (40, 24)).transpose(Image.Transpose.ROTATE_90)
    lying.getexif()[0x0112] = 6  # orientation: turn it by 90° to the right
    assert translator.translate(lying).tobytes() == translator.translate(upright).tobytes()


def test_without_a_cycle_there_is_one_direction(place: Path) -> None:
    settings = {"training.epochs": 1, **TINY_SETTINGS, "training.lambda_cycle": 0.0}
    monet.train(place / "data", run=place / "one way", settings=settings)
    translator = monet.load(place / "one way" / "checkpoints" / "last.pt", device="cpu", precision="fp32")
    assert translator.translate(picture(4, (40, 40))).size == (40, 40)
    with pytest.raises(ValueError, match="direction 'ba' is not trained where training.lambda_cycle is 0"):
        translator.translate(picture(4, (40, 40)), "ba")


def test_the_directions_are_two_generators(translator: Translator) -> None:
    image = picture(4, (40, 40))
    assert translator.translate(image, "ab").tobytes() != translator.translate(image, "ba").tobytes()


def test_a_picture_is_painted_as_the_archive_has_it(translator: Translator, place: Path) -> None:
    import io
    import zipfile

    photo = place / "data" / "testA" / "0.jpg"
    last = place / "run" / "checkpoints" / "last.pt"
    monet.paint(last, photo.parent, place / "one.zip", quality=100, device="cpu", precision="fp32")
    with zipfile.ZipFile(place / "one.zip") as archive:
        painted = np.asarray(Image.open(io.BytesIO(archive.read("0.jpg"))), np.int16)
    from monet.data.decode import decode

    translated = translator.translate(decode(photo, 256)).astype(np.int16)
    assert np.abs(painted - translated).mean() < 1.5  # JPEG


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 4), np.uint8), ValueError, r"shape \(4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), ValueError, "float32"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r"\(0, 4, 3\)"),
        (torch.zeros(4, 4, 3), ValueError, r"shape \(4, 4, 3\)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), ValueError, "int64"),
        (torch.full((3, 4, 4), 1.5), ValueError, "from −1 to 1"),
        (torch.full((3, 4, 4), torch.nan), ValueError, "from −1 to 1"),
        ("photo.jpg", TypeError, "str"),
    ],
)
def test_what_is_no_image_is_refused_with_what_was_found(
    translator: Translator, image, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        translator.translate(image)


def test_a_direction_is_one_of_two(translator: Translator) -> None:
    with pytest.raises(ValueError, match="'xy'"):
        translator.translate(picture(1), "xy")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"training.epoch": 3}, "training.epoch"), ({"model.width": "wide"}, "model.width"), (["3"], "3")],
)
def test_wrong_settings_are_refused_before_a_folder_is_made(settings, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        monet.train(tmp_path, run=tmp_path / "run", settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_free_again_when_a_call_has_failed(tiny_data: Path, tmp_path: Path) -> None:
    words = {"training.epochs": 1, **TINY_SETTINGS}
    with pytest.raises(InputError):
        monet.submit(tiny_data, run=tmp_path / "run", settings=words, paint_with="best")
    assert monet.train(tiny_data, run=tmp_path / "run", settings=words, resume=True).outcome.decay_finished


def test_an_accumulator_scores_as_files_are_scored(random_weights: Path, tmp_path: Path) -> None:
    options = monet.ScoreOptions(feature_layer="64", inception_weights=random_weights, epsilon=0.5)
    sets = {}
    for name, first in (("generated", 10), ("reference", 20)):
        (tmp_path / name).mkdir()
        pictures = [picture(first + index) for index in range(5)]
        for index, image in enumerate(pictures):
            image.save(tmp_path / name / f"{index}.png")
        sets[name] = np.stack([np.asarray(image) for image in pictures])
    expected = monet.score(tmp_path / "generated", tmp_path / "reference", options=options, device="cpu")
    accumulator = monet.score_accumulator(options, device="cpu")
    accumulator.update(sets["reference"], real=True)
    for pixels in sets["generated"]:
        accumulator.update(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None], real=False)
    found = accumulator.compute()
    assert found.fid == pytest.approx(expected.fid, rel=1e-6)
    assert found.mifid == pytest.approx(expected.mifid, rel=1e-6)
    assert (found.num_generated, found.num_reference, found.epsilon) == (5, 5, 0.5)
    accumulator.reset(keep_real=True)
    with pytest.raises(InputError, match="0 generated images"):
        accumulator.compute()
    floats = torch.from_numpy(sets["generated"]).permute(0, 3, 1, 2) / 127.5 - 1
    accumulator.update(floats, real=False)
    assert accumulator.compute().fid == pytest.approx(expected.fid, rel=1e-6)
    accumulator.reset()
    with pytest.raises(InputError, match="0 real images"):
        accumulator.compute()


@pytest.mark.parametrize("images", [torch.zeros(3, 8, 8), torch.zeros(1, 3, 8, 8).int(), np.zeros((1, 3, 8, 8))])
def test_an_accumulator_says_which_images_it_takes(images, random_weights: Path) -> None:
    options = monet.ScoreOptions(feature_layer="64", inception_weights=random_weights)
    with pytest.raises(ValueError, match="expected"):
        monet.score_accumulator(options, device="cpu").update(images, real=True)


def test_what_is_not_in_the_api_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'paints'"):
        monet.paints  # noqa: B018


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: monet.ScoreOptions(feature_layer="2049"), "'2049'"),  # type: ignore[arg-type]
        (lambda: monet.ScoreOptions(epsilon=0.0), "0.0"),
        (lambda: monet.compare([], "photos", "reference"), "no runs"),
        (lambda: monet.train("data", settings="--training.epochs 3"), "--training.epochs 3"),
        (lambda: monet.train("data", settings={"training": {"epochs": 3}}), "training"),
        (lambda: monet.train("data", settings={"training.epochs": np.int64(3)}), "training.epochs is a int64"),
    ],
)
def test_wrong_arguments_are_named_at_once(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(("name", "value"), [("weights", "EMA"), ("precision", "tf32"), ("device", "gpu")])
def test_a_checkpoint_is_not_loaded_in_an_unknown_way(place: Path, name: str, value: str) -> None:
    with pytest.raises(InputError, match=value):
        monet.load(place / "run" / "checkpoints" / "last.pt", **{name: value})  # type: ignore[arg-type]


def test_transparency_and_16_bits_are_seen_as_in_a_file(translator: Translator) -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert translator.translate(clear).tobytes() == translator.translate(Image.new("RGB", (20, 20), "white")).tobytes()
    deep = Image.fromarray(np.full((20, 20), 128 * 257, np.uint16))
    grey = Image.new("RGB", (20, 20), (128, 128, 128))
    assert translator.translate(deep).tobytes() == translator.translate(grey).tobytes()


def test_tensors_come_back_contiguous(translator: Translator) -> None:
    for images in (torch.zeros(2, 3, 18, 21), torch.zeros(2, 3, 18, 21, dtype=torch.uint8)):
        assert translator.translate(images).is_contiguous()


def test_floats_that_seem_to_be_from_0_to_1_are_warned_about(
    random_weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = monet.ScoreOptions(feature_layer="64", inception_weights=random_weights)
    accumulator = monet.score_accumulator(options, device="cpu")
    accumulator.update(torch.rand(2, 3, 8, 8) * 2 - 1, real=True)
    assert caplog.messages == []
    accumulator.update(torch.rand(2, 3, 8, 8), real=True)
    assert "−1…1 is expected" in caplog.text


def test_ctrl_c_in_a_training_saves_the_run(own_signals: None, tiny_data: Path, tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever an earlier test has left

    class AsksToStop(Display):
        def update(self, done: float, note: str, seconds_left: float) -> None:
            signal.raise_signal(signal.SIGINT)

    context = dataclasses.replace(monet.default_context(), display=AsksToStop())
    settings = {"training.epochs": 2, **TINY_SETTINGS}
    with pytest.raises(Interrupted, match="last.pt is saved"):
        monet.train(tiny_data, run=tmp_path / "run", settings=settings, context=context)
    resumed = monet.train(tiny_data, run=tmp_path / "run", resume=True)
    assert resumed.outcome.decay_finished
    assert resumed.outcome.pairs == 16


def test_the_api_and_the_package_name_the_same() -> None:
    from monet import api

    assert set(api.__all__) | {"__version__"} == set(monet.__all__)
