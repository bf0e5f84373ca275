"""The learning rate over a run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from monet.training.schedule import learning_rate, set_learning_rate


@pytest.mark.parametrize(
    ("progress", "share"), [(0.0, 1.0), (0.5, 1.0), (0.6, 0.8), (0.75, 0.5), (0.99, 0.02), (1.0, 0.0), (1.2, 0.0)]
)
def test_the_learning_rate_is_constant_and_then_linear_to_0(progress: float, share: float) -> None:
    assert learning_rate(2e-4, progress, 0.5) == pytest.approx(2e-4 * share)


def test_the_decay_may_begin_at_once() -> None:
    assert learning_rate(1.0, 0.25, 0.0) == 0.75


def test_the_rate_is_that_of_all_parameters_of_all_optimizers() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.0, 2.0)]
    optimizers = [torch.optim.Adam(groups), torch.optim.Adam([nn.Parameter(torch.zeros(1))])]
    set_learning_rate(optimizers, 0.25)
    assert [group["lr"] for optimizer in optimizers for group in optimizer.param_groups] == [0.25] * 3
