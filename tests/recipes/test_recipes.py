from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import monet
from monet import recipes
from monet.config import Config
from monet.errors import InputError
from monet.models import build_generator
from monet.settings import recipe_names, resolve, setting_types
from tests.conftest import fill_folder, picture


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_valid_and_complete(name: str) -> None:
    values = recipes.read(name)
    resolve(values)
    assert recipe_names(values) == set(setting_types())


def test_the_recipes_of_the_competition_are_what_they_are_known_for() -> None:
    top = resolve(recipes.read("kaggle-top15"))
    assert (top.model.residual_blocks, top.training.batch_size, top.training.epochs) == (11, 6, 55)
    assert (top.data.samples_per_epoch, top.data.sampling, top.training.pool_size) == (1000, "fixed", 50)
    assert (top.training.save_every, top.budget) == (10, "4h45m")
    long = resolve(recipes.read("kaggle-top15-long"))
    assert long.training.epochs == 155
    assert (long.model, long.data) == (top.model, top.data)
    fill = resolve(recipes.read("kaggle"))
    assert fill.training.epochs is not None
    assert fill.training.epochs * int(fill.data.samples_per_epoch) == 240_000
    assert fill.data.sampling == "fresh"
    assert fill.training.ema > 0
    quick = resolve(recipes.read("quick-cpu"))
    assert fill.model == quick.model
    assert fill.training.directions == quick.training.directions == ("ab",)


def test_the_demo_generator_takes_at_most_4_gflop_an_image() -> None:
    generator = build_generator(resolve(recipes.read("demo")).model)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator(torch.zeros(1, 3, 256, 256))
    assert counter.get_total_flops() <= 4e9


def test_an_unknown_recipe_names_the_nearest_one_and_all_others() -> None:
    with pytest.raises(InputError, match=r"no recipe 'quick-cup': .*kaggle-top15.*; did you mean quick-cpu\?"):
        recipes.read("quick-cup")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "line 1: "), ("- 1", "holds a list"), (b"\xff\xfe\x00", "is not UTF-8 text")],
)
def test_a_recipe_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message) as caught:
        recipes.read(str(path))
    assert "\n" not in str(caught.value)


def test_a_users_own_file_may_hold_a_few_settings_or_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("training:\n  epochs: 4\n")
    assert resolve(recipes.read(str(path))).training.epochs == 4
    path.write_text("# nothing yet\n")
    assert resolve(recipes.read(str(path))) == Config()


def mine(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(24)
)
DEEP = "a: " + "[" * 30_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 1: aliases"),
        ("training: &t {epochs: 3}\ndata: *t", "line 1: aliases"),
        ("data:\n  <<: {load_size: 300}", "data.<<"),
        (DEEP, "line 1: more than 6 levels"),
        ("a: " + "{b: " * 9_000, "line 1: more than 6 levels"),
        ("training:\n  epochs: 3\n  seed: 1\n  epochs: 4", "line 4: 'epochs' is there twice: keep one"),
        ("training: {epochs: 3}\n\ntraining: {seed: 1}", "line 3: 'training' is there twice"),
        ("training: {epochs: !!int 3}", "line 1: tags"),
        ("training: {epochs: !!python/object/apply:os.system [ls]}", "line 1: tags"),
        ("--- {}\n--- {}", "line 2: a second document"),
        ("training:\n\tepochs: 3", r"line 2: found character '\\t'"),
        ("3: 4", "line 1: '3' is no name of a setting"),
        ("? [a, b]\n: 3", "line 1: .* is no name of a setting"),
        ("training: {epochs: 3", "line 1: expected ',' or '}'"),
        ("a: \0", "special characters are not allowed"),
        ("budget: {}", "gives budget fields: it is not a group"),
        ("horizon: {a: 1}", "gives horizon fields: it is not a group"),
        ("training.epochs: 3", "write epochs indented below training:"),
        ("x" * 1_000 + ": 3", "unknown setting x* … x*"),
        ("\u00e9: 3".encode("latin-1"), r"is not UTF-8 text \(at byte 0\)"),
        ("training: {epochs: 3}".encode("utf-16"), "is not UTF-8 text"),
        ("# " + "x" * 70_000, "is longer than 64 KiB"),
    ],
    ids=lambda text: text[:12] if isinstance(text, str) else None,
)
def test_a_text_that_is_more_than_settings_is_refused_in_one_short_line(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        resolve(recipes.read(mine(tmp_path, text)))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbftraining: {epochs: 3}"
    assert resolve(recipes.read(mine(tmp_path, text))).training.epochs == 3


def test_a_recipe_that_is_a_named_pipe_is_refused_at_once(pipe: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: it is a named pipe"):
        recipes.read(str(pipe))


SMALL = [
    *("--model.width", "4", "--model.discriminator_width", "4", "--data.load_size", "48", "--data.crop_size", "32"),
    *("--training.device", "cpu", "--training.precision", "fp32", "--tracking", "none", "--training.pool_size", "2"),
    *("--training.save_every", "0", "--budget", "null", "--data.samples_per_epoch", "4", "--training.workers", "1"),
]


LIKE_ANOTHER = ("kaggle-top15-long", "forest-fire")
"""Recipes of the networks and losses of another one."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LIKE_ANOTHER)) for name in recipes.names()]
)
def test_every_recipe_trains_is_resumed_and_translates_what_it_has_learned(name: str, tmp_path: Path) -> None:
    sizes = {"trainA": (90, 64), "trainB": (64, 70), "testA": (50, 30), "testB": (30, 60)}
    for part, (folder, size) in enumerate(sizes.items()):
        fill_folder(tmp_path / "data" / folder, 5 - part, 10 * part, size)
    config = resolve(recipes.read(name))
    depth = ["--model.downsamplings", "4"] if config.model.downsamplings > 4 else []
    if config.training.stages:
        ends = [["--training.stages", "[[1,2e-4],[1,1e-4]]"], ["--training.stages", "[[1,2e-4],[1,1e-4],[1,5e-5]]"]]
    else:
        ends = [["--training.epochs", "2"], ["--training.epochs", "3"]]
    for end, resume in zip(ends, (False, True), strict=True):
        words = [*SMALL, *depth, *end, "--training.batch_size", str(min(4, config.training.batch_size))]
        result = monet.train(tmp_path / "data", run=tmp_path / "run", recipe=name, settings=words, resume=resume)
    assert result.outcome.pairs >= 12
    assert [path.name for path in sorted((tmp_path / "run" / "samples").iterdir())][-1] == "epoch-0003.png"
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in metrics if "learning_rate" in line]
    if config.training.stages:
        assert {2e-4, 1e-4, 5e-5} == {step["learning_rate"] for step in steps}
    if name == "cartoon":
        assert {2e-4} == {step["learning_rate"] for step in steps}
    translator = monet.load(result.folder.last, device="cpu", precision="fp32")
    for direction in translator.directions:
        assert translator.translate(picture(1, (50, 33)), direction).size == (50, 33)
    assert translator.directions == (("ab",) if config.training.lambda_cycle == 0 else ("ab", "ba"))


def test_the_recipes_of_known_systems_are_what_they_are_known_for() -> None:
    resnet, unet = (resolve(recipes.read(name)) for name in ("resnet9", "unet"))
    assert (resnet.model.generator, resnet.model.residual_blocks, unet.model.generator) == ("resnet", 9, "unet")
    for config in (resnet, unet):
        assert (config.model.norm, config.training.lambda_cycle, config.training.lambda_identity) == (
            "instance",
            10,
            0.5,
        )
        assert config.tracking == ("wandb",)
    assert (resnet.training, resnet.data) == (unet.training, unet.data)
    light = resolve(recipes.read("resnet9-light"))
    assert (light.training.batch_size, light.training.lambda_identity, light.training.epochs) == (4, 0, 1)
    assert (light.data.samples_per_epoch, light.data.flip) == ("all", True)
    assert light.data.rotate > 0 < light.data.color_jitter
    for name in ("horse2zebra", "forest-fire"):
        config = resolve(recipes.read(name))
        assert [epochs for epochs, _ in config.training.stages] == [100, 20, 80, 25, 20]
        assert [rate for _, rate in config.training.stages] == [2e-4, 1e-4, 5e-5, 1e-4, 1e-4]
        assert (config.model.downsamplings, config.model.residual_blocks, config.model.width) == (3, 3, 64)
        assert (config.model.discriminator, config.training.batch_size) == ("pooled", 1)


def test_numbers_of_parameters_in_comments_are_true() -> None:
    for name, millions in (("resnet9", 11.378), ("unet", 54.410)):
        generator = build_generator(resolve(recipes.read(name)).model)
        assert round(sum(parameter.numel() for parameter in generator.parameters()) / 1e6, 3) == millions
