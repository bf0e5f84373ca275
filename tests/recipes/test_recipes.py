from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from monet import recipes
from monet.config import Config
from monet.errors import InputError
from monet.models import build_generator


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


@pytest.mark.parametrize("name", ["budget", "horizon"])
def test_a_word_takes_away_the_time_that_a_recipe_gives(name: str) -> None:
    assert getattr(recipes.resolve({name: "5h"}, [f"--{name}", "null"]), name) is None


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
    path = tmp_path / "mine.yaml"
    path.write_text(f"tracking: {written}\n")
    assert recipes.resolve(recipes.read(str(path))).tracking == meant
    if written != "null":
        assert recipes.resolve({"tracking": ["clearml"]}, ["--tracking", written]).tracking == meant
        assert recipes.resolve({"tracking": ["clearml"]}, [f"--tracking={written}"]).tracking == meant


def test_without_jsonargparse_only_the_help_is_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    described = recipes.describe_settings()
    assert "--training.epochs  a whole number or null; default null" in described
    assert "--training.seed  a whole number; default 0\n" in described
    assert "--data.rotate  a number; default 0.0\n" in described
    assert "--tracking" in described
    assert "default none" in described.split("--tracking", 1)[1]
    assert re.search(r"\S  +\S", re.sub(r"^ +--\S+  ", "", described, flags=re.MULTILINE)) is None
    monkeypatch.setattr(recipes, "_has_jsonargparse", lambda: False)
    assert recipes.describe_settings() == "  (pip install jsonargparse shows them here)"
    assert recipes.resolve({}, ["--training.epochs", "3"]).training.epochs == 3


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
        ("budget: {}", "gives budget fields: it is no group"),
        ("horizon: {a: 1}", "gives horizon fields: it is no group"),
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
        recipes.resolve(recipes.read(mine(tmp_path, text)))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbftraining: {epochs: 3}"
    assert recipes.resolve(recipes.read(mine(tmp_path, text))).training.epochs == 3


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
    ("model.generator", "null", "give resnet or unet"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG, ids=[f"{name}={value[:20]}" for name, value, _ in WRONG])
def test_a_recipe_and_the_command_line_refuse_the_same_values(
    name: str, value: str, message: str, tmp_path: Path
) -> None:
    group, field = name.split(".")
    read = recipes.read(mine(tmp_path, f"{group}:\n  {field}: {value}"))
    for values, words in ((read, []), ({}, [f"--{name}", value]), ({}, [f"--{name}={value}"])):
        with pytest.raises(InputError, match=message) as caught:
            recipes.resolve(values, words)
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
        recipes.resolve(recipes.read(mine(tmp_path, f"{group}:\n  {field}: {value}"))),
        recipes.resolve({}, [f"--{name}", value]),
        recipes.resolve({"training": {"epochs": 7}}, [f"--{name}={value}"]),
    ):
        found = getattr(getattr(config, group), field)
        assert (found, type(found)) == (meant, type(meant))


def test_a_recipe_that_is_a_named_pipe_is_refused_at_once(pipe: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: it is a named pipe"):
        recipes.read(str(pipe))
