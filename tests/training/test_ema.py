"""The moving average of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from monet.training.ema import MovingAverage

YES, NO = torch.tensor(True), torch.tensor(False)


def test_the_average_follows_the_weights_by_the_decay_a_pair() -> None:
    source = nn.Linear(1, 1, bias=False)
    nn.init.constant_(source.weight, 1.0)
    average = MovingAverage({"x": source}, 0.9)
    nn.init.constant_(source.weight, 3.0)
    average.update(10**6, 1, YES)
    weight = average.networks["x"].get_parameter("weight")
    assert torch.allclose(weight, torch.tensor(1.2))  # 0.9 · 1 + 0.1 · 3
    average.update(10**6, 2, YES)
    assert torch.allclose(weight, torch.tensor(0.81 * 1.2 + 0.19 * 3))


def test_the_average_forgets_the_random_start_quickly() -> None:
    source = nn.Linear(1, 1, bias=False)
    nn.init.constant_(source.weight, 100.0)
    average = MovingAverage({"x": source}, 0.9999)
    nn.init.constant_(source.weight, 1.0)
    for pair in range(100):
        average.update(pair, 1, YES)
    assert abs(average.networks["x"].get_parameter("weight").item() - 1) < 1e-3


def test_the_average_has_no_gradient_and_stays_where_it_is_after_a_bad_step() -> None:
    source = nn.BatchNorm2d(2)
    average = MovingAverage({"x": source}, 0.5)
    assert not any(parameter.requires_grad for parameter in average.networks["x"].parameters())
    nn.init.constant_(source.weight, 9.0)
    source.get_buffer("running_mean").fill_(4.0)
    average.update(100, 1, NO)
    assert average.networks["x"].get_parameter("weight").tolist() == [1, 1]
    average.update(100, 1, YES)
    assert average.networks["x"].get_parameter("weight").tolist() == [5, 5]
    assert average.networks["x"].get_buffer("running_mean").tolist() == [2, 2]


@pytest.mark.parametrize(("pairs", "decay"), [(0, 0.1), (10, 11 / 20), (80, 0.9), (10**6, 0.9)])
def test_the_decay_rises_to_its_value_over_the_first_pairs(pairs: int, decay: float) -> None:
    source = nn.Linear(1, 1, bias=False)
    nn.init.constant_(source.weight, 0.0)
    average = MovingAverage({"x": source}, 0.9)
    nn.init.constant_(source.weight, 1.0)
    average.update(pairs, 1, YES)
    assert average.networks["x"].get_parameter("weight").item() == pytest.approx(1 - decay)


def test_counters_are_not_averaged() -> None:
    source = nn.BatchNorm2d(1)
    average = MovingAverage({"x": source}, 0.5)
    source.get_buffer("num_batches_tracked").fill_(9)
    average.update(100, 1, YES)
    assert average.networks["x"].get_buffer("num_batches_tracked").item() == 0
