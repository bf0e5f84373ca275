from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from monet import recipes
from monet.config import Config
from monet.errors import InputError
from monet.models import build_generator


@pytest.fixture(autouse=True, params=["jsonargparse", "plain"])
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With jsonargparse, and as in an image that lacks it."""
    if request.param == "plain":
        monkeypatch.setattr(recipes, "_has_jsonargparse", lambda: False)


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_valid_and_complete(name: str) -> None:
    values = recipes.read(name)
    recipes.resolve(values)
    assert recipes.names_of(values) == set(recipes.setting_types())


def test_the_recipes_of_the_competition_are_what_they_are_known_for() -> None:
    top = recipes.resolve(recipes.read("kaggle-top15"))
    assert (top.model.residual_blocks, top.training.batch_size, top.training.epochs) == (11, 6, 55)
    assert (top.data.samples_per_epoch, top.data.sampling, top.training.pool_size) == (1000, "fixed", 50)
    assert (top.training.save_every, top.budget) == (10, "4h45m")
    long = recipes.resolve(recipes.read("kaggle-top15-long"))
    assert long.training.epochs == 155
    assert (long.model, long.data) == (top.model, top.data)
    fill = recipes.resolve(recipes.read("kaggle"))
    assert fill.training.epochs is None
    assert fill.data.sampling == "fresh"
    assert fill.training.ema > 0


def test_the_demo_generator_takes_at_most_4_gflop_an_image() -> None:
    generator = build_generator(recipes.resolve(recipes.read("demo")).model)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator(torch.zeros(1, 3, 256, 256))
    assert counter.get_total_flops() <= 4e9


def test_the_command_line_overrides_a_recipe_and_the_recipe_the_defaults() -> None:
    config = recipes.resolve(
        {"data": {"load_size": 300, "crop_size": 200}}, ["--data.load_size=310", "--training.epochs", "3"]
    )
    assert (config.data.load_size, config.data.crop_size, config.training.epochs) == (310, 200, 3)
    assert config.model == Config().model


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--training.epochs", "null"], ("epochs", None)),
        (["--training.betas", "[0.4, 0.99]"], ("betas", (0.4, 0.99))),
        (["--training.learning_rate", "1e-3"], ("learning_rate", 1e-3)),
    ],
)
def test_values_are_read_as_yaml(words: list[str], expected: tuple[str, object]) -> None:
    assert getattr(recipes.resolve({}, words).training, expected[0]) == expected[1]


@pytest.mark.parametrize(
    ("values", "words", "message"),
    [
        ({}, ["--trainig.epochs", "3"], r"unknown option --trainig.epochs: .*; did you mean --training.epochs\?"),
        ({}, ["--width", "3"], r"unknown option --width: .*; did you mean --model.width\?"),
        ({"data": {"load_sise": 3}}, [], r"unknown setting data.load_sise in recipe; did you mean data.load_size\?"),
        ({"datas": {"load_size": 3}}, [], r"did you mean data.load_size\?"),
        ({"data": 3}, [], "gives data no fields"),
        ({"data": {"load_size": "x"}}, [], "data.load_size cannot be 'x': give a whole number"),
        ({}, ["--training.epochs", "3.5"], "training.epochs cannot be '3.5': give a whole number or null"),
        ({}, ["--data.sampling", "fresch"], r"give fixed or fresh; did you mean fresh\?"),
        ({}, ["--data.samples_per_epoch", "some"], "give a whole number or all"),
        ({}, ["--data.flip", "maybe"], "data.flip cannot be 'maybe': give true or false"),
        ({}, ["--training.betas", "0.5"], "training.betas cannot be '0.5': give a list of a number and a number"),
        ({}, ["--training.epochs"], "expected one argument"),
        ({}, ["stray"], "stray"),
        ({"budget": 90}, [], "budget cannot be '90': write it as 5h, 45m, 90s or 1h30m"),
        ({}, ["--tracking", "mlflow"], "tracking cannot be 'mlflow': give one or more of clearml, wandb, tensorboard"),
        ({"tracking": ["clearm"]}, [], r"tracking cannot be 'clearm': .*; did you mean clearml\?"),
        ({}, ["--data.load_size", "3"], "data.load_size 3 is smaller than data.crop_size 256"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_field_and_the_nearest_right_one(values, words, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        recipes.resolve(values, words)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_names_the_nearest_one_and_all_others() -> None:
    with pytest.raises(InputError, match=r"no recipe 'quick-cup': .*kaggle-top15.*; did you mean quick-cpu\?"):
        recipes.read("quick-cup")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "not valid YAML"), ("- 1", "holds a list"), (b"\xff\xfe\x00", "cannot be read|not valid YAML")],
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
    assert recipes.resolve(recipes.read(str(path))).training.epochs == 4
    path.write_text("# nothing yet\n")
    assert recipes.resolve(recipes.read(str(path))) == Config()


def test_settings_are_told_from_a_commands_other_options() -> None:
    words = ["--skip-bad", "--training.epochs", "3", "--score", "no", "--model.width=8", "--feature-layer", "768"]
    assert recipes.settings_among(words) == ["--training.epochs", "3", "--model.width=8"]
    assert recipes.settings_among(["--training.epochs", "--skip-bad"]) == ["--training.epochs"]  # a mistake remains one
    assert recipes.settings_among([]) == []


@pytest.mark.parametrize("word", ["on", "off", "auto"])
def test_compile_may_be_written_without_quotes(tmp_path: Path, word: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"training:\n  compile: {word}\n")
    assert recipes.resolve(recipes.read(str(path))).training.compile == word
    assert recipes.resolve({}, ["--training.compile", word]).training.compile == word


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("clearml", ("clearml",)),
        ("wandb, tensorboard", ("wandb", "tensorboard")),
        ("[clearml, wandb]", ("clearml", "wandb")),
        ("none", ()),
        ("null", ()),
        ("[]", ()),
    ],
)
def test_trackers_may_be_written_as_words_or_as_a_list(
    there: bool, written: str, meant: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "_has_jsonargparse", lambda: there)
    path = tmp_path / "mine.yaml"
    path.write_text(f"tracking: {written}\n")
    assert recipes.resolve(recipes.read(str(path))).tracking == meant
    if written != "null":
        assert recipes.resolve({"tracking": ["clearml"]}, ["--tracking", written]).tracking == meant
        assert recipes.resolve({"tracking": ["clearml"]}, [f"--tracking={written}"]).tracking == meant


@pytest.mark.parametrize("name", recipes.names())
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--training.learning_rate", "1e-4", "--model.width=8", "--data.flip", "false", "--budget", "90s"],
        ["--tracking", "clearml,wandb"],
        ["--tracking=[tensorboard]", "--horizon", "9h"],
        ["--tracking", "none"],
    ],
)
def test_both_parsers_find_the_same_settings(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    values = recipes.read(name)
    found = []
    for there in (True, False):
        monkeypatch.setattr(recipes, "_has_jsonargparse", lambda there=there: there)
        found.append(recipes.resolve(values, words))
    assert found[0] == found[1]
    assert repr(found[0]) == repr(found[1])  # 1 is equal to 1.0, and not the same


def test_a_recipe_that_is_a_named_pipe_is_refused_at_once(pipe: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: it is a named pipe"):
        recipes.read(str(pipe))
