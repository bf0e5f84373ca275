"""The learning rate over a run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from monet.config import TrainingConfig
from monet.training.schedule import decayed_rate, learning_rate, rate_of_stage, set_learning_rate


@pytest.mark.parametrize(
    ("progress", "share"), [(0.0, 1.0), (0.5, 1.0), (0.6, 0.8), (0.75, 0.5), (0.99, 0.02), (1.0, 0.0), (1.2, 0.0)]
)
def test_the_learning_rate_is_constant_and_then_linear_to_0(progress: float, share: float) -> None:
    assert decayed_rate(2e-4, progress, 0.5) == pytest.approx(2e-4 * share)
    assert learning_rate(TrainingConfig(), progress) == pytest.approx(2e-4 * share)


def test_the_decay_may_begin_at_once() -> None:
    assert decayed_rate(1.0, 0.25, 0.0) == 0.75


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0, 1.2])
def test_a_decay_that_starts_at_the_end_never_comes(progress: float) -> None:
    assert decayed_rate(2e-4, progress, 1.0) == 2e-4


@pytest.mark.parametrize(
    ("pair", "rate"),
    [(0, 2e-4), (99_999, 2e-4), (100_000, 1e-4), (119_999, 1e-4), (120_000, 5e-5), (200_000, 1e-4), (244_999, 1e-4)],
)
def test_a_pair_is_seen_with_the_rate_of_its_stage(pair: int, rate: float) -> None:
    stages = ((100, 2e-4), (20, 1e-4), (80, 5e-5), (25, 1e-4), (20, 1e-4))
    assert rate_of_stage(stages, pair / 245_000) == rate
    assert learning_rate(TrainingConfig(stages=stages), pair / 245_000) == rate


@pytest.mark.parametrize("epochs", [(3, 7, 11), (1, 1, 1), (49, 2, 49)])
def test_no_step_is_taken_for_one_of_another_stage(epochs: tuple[int, ...]) -> None:
    stages, samples = tuple((count, float(index + 1)) for index, count in enumerate(epochs)), 7
    expected = [index + 1.0 for index, count in enumerate(epochs) for _ in range(count * samples)]
    total = len(expected)
    assert [rate_of_stage(stages, pair / total) for pair in range(total)] == expected
    assert rate_of_stage(stages, 1.0) == expected[-1]


def test_the_rate_is_that_of_all_parameters_of_all_optimizers() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.0, 2.0)]
    optimizers = [torch.optim.Adam(groups), torch.optim.Adam([nn.Parameter(torch.zeros(1))])]
    set_learning_rate(optimizers, 0.25)
    assert [group["lr"] for optimizer in optimizers for group in optimizer.param_groups] == [0.25] * 3
