from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from monet import recipes
from monet.config import Config
from monet.errors import InputError
from monet.models import build_generator
from monet.settings import recipe_names, resolve, setting_types


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
    assert fill.training.epochs is None
    assert fill.data.sampling == "fresh"
    assert fill.training.ema > 0


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
