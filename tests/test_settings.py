"""Settings: what a recipe and the command line may say, and how `--help` describes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from monet import recipes
from monet.config import Config
from monet.errors import InputError
from monet.settings import describe_settings, resolve, setting_types, settings_among


def from_recipe(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return recipes.read(str(path))


def test_the_command_line_overrides_a_recipe_and_the_recipe_the_defaults() -> None:
    config = resolve({"data": {"load_size": 300, "crop_size": 200}}, ["--data.load_size=310", "--training.epochs", "3"])
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
    assert getattr(resolve({}, words).training, expected[0]) == expected[1]


@pytest.mark.parametrize("name", ["budget", "horizon"])
def test_a_word_takes_away_the_time_that_a_recipe_gives(name: str) -> None:
    assert getattr(resolve({name: "5h"}, [f"--{name}", "null"]), name) is None


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
        resolve(values, words)
    assert "\n" not in str(caught.value)


def test_settings_are_told_from_a_commands_other_options() -> None:
    words = ["--skip-bad", "--training.epochs", "3", "--score", "no", "--model.width=8", "--feature-layer", "768"]
    assert settings_among(words) == ["--training.epochs", "3", "--model.width=8"]
    assert settings_among(["--training.epochs", "--skip-bad"]) == ["--training.epochs"]  # a mistake remains one
    assert settings_among([]) == []


@pytest.mark.parametrize("word", ["on", "off", "auto"])
def test_compile_may_be_written_without_quotes(tmp_path: Path, word: str) -> None:
    values = from_recipe(tmp_path, f"training:\n  compile: {word}\n")
    assert resolve(values).training.compile == word
    assert resolve({}, ["--training.compile", word]).training.compile == word


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
def test_trackers_may_be_written_as_words_or_as_a_list(written: str, meant: tuple[str, ...], tmp_path: Path) -> None:
    assert resolve(from_recipe(tmp_path, f"tracking: {written}\n")).tracking == meant
    if written != "null":
        assert resolve({"tracking": ["clearml"]}, ["--tracking", written]).tracking == meant
        assert resolve({"tracking": ["clearml"]}, [f"--tracking={written}"]).tracking == meant


def test_help_describes_every_setting_with_its_type_default_and_docstring() -> None:
    described = describe_settings()
    paragraphs = {
        paragraph.split()[0]: paragraph for paragraph in re.split(r"^  --", described, flags=re.MULTILINE)[1:]
    }
    assert set(paragraphs) == set(setting_types()) - {"budget", "horizon"}  # these two are options of the commands
    for paragraph in paragraphs.values():
        assert re.fullmatch(r"\S+  \S.*; default \S.*(\n      \S.*)+\n?", paragraph)
    assert paragraphs["training.epochs"].startswith("training.epochs  a whole number or null; default null\n")
    assert "\n      Channels of the generator's first layer.\n" in paragraphs["model.width"]
    assert "resize and\n      convolution, which leaves no grid.\n" in paragraphs["model.upsample"]
    assert "  --training.seed  a whole number; default 0\n" in described
    assert "  --data.rotate  a number; default 0.0\n" in described
    assert "default none" in paragraphs["tracking"]
    assert re.search(r"\S  +\S", re.sub(r"^ +--\S+  ", "", described, flags=re.MULTILINE)) is None


WRONG = [
    ("training.epochs", "1e3", "'1000.0': give a whole number or null"),
    ("training.epochs", "3.0", "'3.0': give a whole number"),
    ("training.epochs", "1_000", "'1_000': give a whole number"),
    ("training.epochs", "010", "'010': give a whole number"),
    ("training.epochs", "0x10", "'0x10': give a whole number"),
    ("training.epochs", "1:30", "'1:30': give a whole number"),
    ("training.epochs", "\u0663", "give a whole number"),
    ("training.epochs", "2001-01-01", "'2001-01-01': give a whole number"),
    ("training.epochs", "2001-99-99", "'2001-99-99': give a whole number"),
    ("training.epochs", "yes", "'True': give a whole number"),
    ("training.epochs", "9" * 5_000, "give a whole number"),
    ("training.epochs", "9999999999999999999", "is 9999999999999999999: give 1 to"),
    ("training.epochs", "'3'", "'3': give a whole number"),
    ("training.learning_rate", ".nan", "is nan: give a finite number"),
    ("training.learning_rate", ".inf", "is inf: give a finite number"),
    ("training.learning_rate", "1e999", "is inf: give a finite number"),
    ("training.learning_rate", "true", "'True': give a number"),
    ("training.learning_rate", "'1e-4'", "'1e-4': give a number"),
    ("training.learning_rate", "1" + "0" * 400, "give a number"),
    ("training.betas", "[0.5, 1_0]", "give a list of a number and a number"),
    ("training.betas", "[0.5, true]", "give a list of a number and a number"),
    ("data.flip", "1", "'1': give true or false"),
    ("data.flip", "'true'", "'true': give true or false"),
    ("model.generator", "null", "give resnet, unet or wavelet"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG, ids=[f"{name}={value[:20]}" for name, value, _ in WRONG])
def test_a_recipe_and_the_command_line_refuse_the_same_values(
    name: str, value: str, message: str, tmp_path: Path
) -> None:
    group, field = name.split(".")
    read = from_recipe(tmp_path, f"{group}:\n  {field}: {value}")
    for values, words in ((read, []), ({}, [f"--{name}", value]), ({}, [f"--{name}={value}"])):
        with pytest.raises(InputError, match=message) as caught:
            resolve(values, words)
        assert len(str(caught.value)) < 300


RIGHT = [
    ("training.epochs", "+3", 3),
    ("training.epochs", "~", None),
    ("training.learning_rate", "2e-4", 2e-4),
    ("training.learning_rate", "2.E-4", 2e-4),
    ("training.learning_rate", "+.5", 0.5),
    ("training.learning_rate", "1", 1.0),
    ("data.flip", "No", False),
    ("data.samples_per_epoch", "all", "all"),
    ("training.betas", "[0, 0.9]", (0.0, 0.9)),
]


@pytest.mark.parametrize(("name", "value", "meant"), RIGHT, ids=[f"{name}={value}" for name, value, _ in RIGHT])
def test_a_recipe_and_the_command_line_read_the_same_values(
    name: str, value: str, meant: object, tmp_path: Path
) -> None:
    group, field = name.split(".")
    for config in (
        resolve(from_recipe(tmp_path, f"{group}:\n  {field}: {value}")),
        resolve({}, [f"--{name}", value]),
        resolve({"training": {"epochs": 7}}, [f"--{name}={value}"]),
    ):
        found = getattr(getattr(config, group), field)
        assert (found, type(found)) == (meant, type(meant))
