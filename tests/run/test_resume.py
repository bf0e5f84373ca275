from __future__ import annotations

import logging

import pytest

from monet.config import Config, to_dict
from monet.errors import InputError
from monet.run.resume import GivenSettings, merged_config
from monet.settings import option_names, recipe_names, resolve


def merged(stored: list[str], asked: list[str]) -> Config:
    contents = {"config": to_dict(resolve({}, stored))}
    return merged_config(contents, resolve({}, asked), GivenSettings(explicit=option_names(asked)))


def test_a_run_goes_on_with_its_own_settings() -> None:
    stored = ["--model.width", "8", "--training.epochs", "5", "--budget", "1h"]
    assert merged(stored, []) == resolve({}, stored)
    assert merged(stored, stored) == resolve({}, stored)


def test_what_may_change_changes_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    config = merged(
        ["--training.epochs", "5", "--budget", "1h"],
        ["--training.epochs", "9", "--budget", "2h", "--generation.quality", "90", "--tracking", "clearml"],
    )
    assert config.tracking == ("clearml",)
    assert (config.training.epochs, config.budget, config.generation.quality) == (9, "2h", 90)
    assert "training.epochs changes from 5 to 9" in caplog.text


@pytest.mark.parametrize(
    "word",
    [
        ("--model.width", "9"),
        ("--data.crop_size", "64"),
        ("--data.sampling", "fixed"),
        ("--training.seed", "3"),
        ("--training.pool_size", "4"),
        ("--training.lambda_cycle", "0.0"),
    ],
)
def test_what_a_run_cannot_change_is_refused_with_both_values(word: tuple[str, str]) -> None:
    with pytest.raises(
        InputError, match=rf"{word[0][2:]} is .* in this run and {word[1]} here: a run cannot change it"
    ):
        merged([], list(word))


def test_a_recipe_changes_a_run_that_goes_on_but_not_where_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    """What is said to change is what is used: the horizon obeys the command line alone."""
    caplog.set_level(logging.INFO)
    stored = ["--training.epochs", "100", "--horizon", "9h", "--training.learning_rate", "1e-3"]
    contents = {"config": to_dict(resolve({}, stored))}
    recipe = {"training": {"epochs": 55, "learning_rate": 2e-4, "precision": "bf16"}, "horizon": None}
    explicit = ["--training.precision", "fp32"]
    asked = resolve(recipe, explicit)
    given = GivenSettings(explicit=option_names(explicit), in_recipe=recipe_names(recipe))
    config = merged_config(contents, asked, given)
    assert (config.training.epochs, config.horizon) == (100, "9h")
    assert (config.training.learning_rate, config.training.precision) == (2e-4, "fp32")
    assert [record.message for record in caplog.records] == [
        "horizon stays 9h, not None as in the recipe: --horizon changes it",
        "training.epochs stays 100, not 55 as in the recipe: --training.epochs changes it",
        "training.learning_rate changes from 0.001 to 0.0002",
        "training.precision changes from auto to fp32",
    ]
