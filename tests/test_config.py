from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from monet.config import Config, DataConfig, GenerationConfig, ModelConfig, TrainingConfig, from_dict, to_dict
from monet.errors import InputError


def test_settings_survive_the_way_to_plain_values_and_back() -> None:
    config = Config(
        data=DataConfig(
            samples_per_epoch="all", sampling="fixed", resize="exact", load_size=(99, 88), crop_size=(32, 64)
        ),
        training=TrainingConfig(betas=(0.4, 0.9), stages=((7, 1e-4), (2, 1e-5))),
        budget="1h30m",
    )
    values = to_dict(config)
    assert values["training"]["betas"] == [0.4, 0.9]
    assert values["training"]["stages"] == [[7, 1e-4], [2, 1e-5]]
    assert from_dict(values) == config


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().training.seed = 3  # type: ignore[misc]


def test_budget_and_horizon_are_known_in_seconds() -> None:
    config = Config(budget="1h30m", horizon="9h")
    assert config.budget_seconds == 5400
    assert config.horizon_seconds == 32400
    assert Config().budget_seconds is None


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (DataConfig, {"samples_per_epoch": 0}, "data.samples_per_epoch is 0"),
        (DataConfig, {"crop_size": 8, "load_size": 8}, "data.crop_size is 8"),
        (DataConfig, {"load_size": 200}, "data.load_size 200 is smaller than data.crop_size 256"),
        (DataConfig, {"rotate": -1}, "data.rotate is -1"),
        (DataConfig, {"color_jitter": 1.5}, "data.color_jitter is 1.5"),
        (ModelConfig, {"width": 0}, "model.width is 0: give at least 1"),
        (ModelConfig, {"residual_blocks": -1}, "model.residual_blocks is -1"),
        (ModelConfig, {"downsamplings": 0}, "model.downsamplings is 0"),
        (TrainingConfig, {"epochs": 0}, "training.epochs is 0"),
        (TrainingConfig, {"batch_size": 0}, "training.batch_size is 0"),
        (TrainingConfig, {"learning_rate": 0.0}, "training.learning_rate is 0"),
        (TrainingConfig, {"learning_rate": math.nan}, "training.learning_rate is nan: give a finite number"),
        (TrainingConfig, {"lambda_cycle": math.inf}, "training.lambda_cycle is inf: give a finite number"),
        (TrainingConfig, {"betas": (0.5, 1.0)}, "training.betas is"),
        (TrainingConfig, {"decay_start": 1.1}, "training.decay_start is 1.1: give a number from 0 to 1"),
        (TrainingConfig, {"stages": ((0, 1e-4),)}, "training.stages has 0 epochs at 0.0001: give at least 1 epoch"),
        (TrainingConfig, {"stages": ((1, 0.0),)}, "training.stages has 1 epochs at 0.0: .* a learning rate above 0"),
        (TrainingConfig, {"stages": ((1, math.nan),)}, "training.stages has 1 epochs at nan"),
        (TrainingConfig, {"stages": ((10**6, 1e-4), (1, 1e-4))}, "training.stages has 1000001 epochs: give at most"),
        (TrainingConfig, {"stages": ((5, 1e-4),), "epochs": 5}, "stages has 5 epochs, and training.epochs is 5: give"),
        (TrainingConfig, {"stages": ((5, 1e-4),), "learning_rate": 1e-3}, "training.learning_rate is 0.001: give one"),
        (DataConfig, {"load_size": (300, 400)}, r"data.load_size is \(300, 400\): give one side, or data.resize exact"),
        (DataConfig, {"crop_size": (256, 400)}, r"data.load_size 286 is smaller than data.crop_size \(256, 400\)"),
        (DataConfig, {"crop_size": (256, 16)}, "data.crop_size is 16: give at least 24"),
        (DataConfig, {"resize": "shorter", "crop_size": (300, 400)}, r"smaller than data.crop_size \(300, 400\)"),
        (
            Config,
            {"data": DataConfig(crop_size=28), "model": ModelConfig(discriminator="pooled")},
            "data.crop_size is 28, and model.discriminator pooled halves it four times: give at least 32",
        ),
        (Config, {"data": DataConfig(crop_size=(32, 30))}, "data.crop_size is 30 pixels, .* a multiple of 4"),
        (TrainingConfig, {"ema": 1.0}, "training.ema is 1.0"),
        (TrainingConfig, {"pool_size": -1}, "training.pool_size is -1"),
        (TrainingConfig, {"seed": -1}, "training.seed is -1"),
        (GenerationConfig, {"batch_size": 0}, "generation.batch_size is 0"),
        (GenerationConfig, {"quality": 101}, "generation.quality is 101"),
        (TrainingConfig, {"seed": 2**63}, "training.seed is 9223372036854775808: give 0 to 9223372036854775807"),
        (ModelConfig, {"width": 1_000_000}, r"model.width is 1000000: give \d+ to 1024"),
        (ModelConfig, {"residual_blocks": 10_000_000}, "model.residual_blocks is 10000000: give 0 to 200"),
        (ModelConfig, {"downsamplings": 10**9}, "model.downsamplings is 1000000000: give 1 to 16"),
        (ModelConfig, {"discriminator_width": 1025}, r"model.discriminator_width is 1025: give \d+ to 1024"),
        (DataConfig, {"samples_per_epoch": 10**12}, "data.samples_per_epoch is 1000000000000: .* 1000000000, or all"),
        (DataConfig, {"load_size": 100_000}, r"data.load_size is 100000: give \d+ to 8192"),
        (TrainingConfig, {"epochs": 10**7}, "training.epochs is 10000000: give 1 to 1000000, or null"),
        (TrainingConfig, {"batch_size": 5000}, r"training.batch_size is 5000: give \d+ to 4096"),
        (TrainingConfig, {"pool_size": 10**6}, "training.pool_size is 1000000: give 0 to 100000"),
        (TrainingConfig, {"learning_rate": 1e300}, r"training.learning_rate is 1e\+300: .* above 0, at most 100"),
        (GenerationConfig, {"batch_size": 10**9}, r"generation.batch_size is 1000000000: give \d+ to 4096"),
        (DataConfig, {"crop_size": 16}, "data.crop_size is 16: give at least 24"),
        (Config, {"data": DataConfig(crop_size=30)}, "data.crop_size is 30 pixels, .* a multiple of 4"),
        (Config, {"model": ModelConfig(downsamplings=9)}, "256 pixels, which 9 downsamplings do not divide"),
        (Config, {"budget": "soon"}, "budget: 'soon' is not a duration"),
        (Config, {"tracking": ("mlflow",)}, "tracking has mlflow: give clearml, wandb, tensorboard"),
        (Config, {"horizon": "0s"}, "horizon: '0s' is not a duration"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(group, values, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group(**values)


def test_stored_settings_of_another_version_are_refused() -> None:
    with pytest.raises(InputError, match="training.momentum is not a setting of this version"):
        from_dict({"training": {"momentum": 1}})
    with pytest.raises(InputError) as told:
        from_dict({"training": {"a\r\nb" * 100: 1}})
    assert len(str(told.value).splitlines()) == 1
    assert len(str(told.value)) < 150


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": 3}, "model is 3: expected settings by their names"),
        ({"model": {"width": "64"}}, "model.width cannot be '64'"),
        ({"model": {"width": 64.0}}, "model.width cannot be 64.0"),
        ({"model": {"skip": 1}}, "model.skip cannot be 1"),
        ({"model": {"norm": None}}, "model.norm cannot be None"),
        ({"data": {"samples_per_epoch": True}}, "data.samples_per_epoch cannot be True"),
        ({"training": {"betas": [0.5]}}, r"training.betas cannot be \[0.5\]"),
        ({"training": {"betas": [0.5, "x"]}}, "training.betas cannot be"),
        ({"training": {"learning_rate": 10**400}}, "training.learning_rate cannot be 1000"),
        ({"training": {1: 1}}, "training.1 is not a setting"),
        ({"budget": 5}, "budget cannot be 5"),
        ({"budget": torch.zeros(20, 20)}, "budget cannot be tensor"),
        ({"tracking": "wandb"}, "tracking cannot be 'wandb'"),
        ({"momentum": 1}, "momentum is not a setting of this version"),
    ],
)
def test_stored_settings_of_the_wrong_type_are_named(change, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        from_dict({**to_dict(Config()), **change})
    assert len(str(caught.value)) < 150
    assert "\n" not in str(caught.value)
