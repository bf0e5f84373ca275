"""The guard against steps that are not finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from monet.training.guard import Guard

CPU = torch.device("cpu")


def test_the_guard_counts_the_good_steps_before_the_first_bad_one() -> None:
    guard = Guard(CPU)
    for loss in (1.0, 2.0, math.inf, 3.0, 4.0):
        guard.check_finite(torch.tensor([loss, 1.0]))
    assert guard.found_inf.item() == 1.0
    assert not guard.all_good
    assert guard.read() == 2
    assert guard.all_good
    guard.check_finite(torch.tensor([1.0]))
    assert guard.read() is None


@pytest.mark.parametrize("gradient", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_as_bad_as_a_loss(gradient: float) -> None:
    guard = Guard(CPU)
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([0.0, gradient, 0.0])
    guard.check_finite(torch.tensor([1.0]), [parameter])
    assert guard.read() == 0


def test_after_a_bad_step_losses_are_nan_and_running_statistics_stay() -> None:
    norm = nn.BatchNorm2d(1)
    guard = Guard(CPU, [norm])
    guard.begin_step()
    norm(torch.full((2, 1, 4, 4), math.nan))
    guard.check_finite(torch.tensor([math.nan]))
    assert norm.get_buffer("running_mean").item() == 0
    assert guard.nan_after_bad_step(torch.tensor(1.0)).isnan()
    guard.read()
    guard.begin_step()
    norm(torch.full((2, 1, 4, 4), 10.0))
    guard.check_finite(torch.tensor([1.0]))
    assert norm.get_buffer("running_mean").item() == pytest.approx(1.0)
    assert guard.nan_after_bad_step(torch.tensor(1.0)) == 1


def with_gradient(value: float) -> nn.Parameter:
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([0.0, value, 0.0])
    return parameter


def test_a_good_step_is_taken() -> None:
    guard = Guard(CPU)
    guard.check_finite(torch.tensor([1.0, -2.0]), [with_gradient(3.0)])
    assert guard.step_taken
    assert guard.found_inf.item() == 0.0
    assert guard.read() is None


def test_a_gradient_that_may_overflow_is_refused_and_not_bad() -> None:
    guard = Guard(CPU)
    guard.check_finite(torch.tensor([1.0]), [with_gradient(math.inf)], may_overflow=True)
    assert guard.found_inf.item() == 1.0
    assert guard.all_good
    guard.check_finite(torch.tensor([1.0]), [with_gradient(1.0)], may_overflow=True)
    assert guard.step_taken
    assert guard.read() is None


def test_a_loss_that_is_not_finite_is_bad_even_where_gradients_may_overflow() -> None:
    guard = Guard(CPU)
    guard.check_finite(torch.tensor([math.nan]), [with_gradient(1.0)], may_overflow=True)
    assert not guard.all_good
    assert guard.read() == 0


def test_steps_after_a_bad_one_are_refused_until_the_host_has_looked() -> None:
    guard = Guard(CPU)
    guard.check_finite(torch.tensor([math.inf]))
    guard.check_finite(torch.tensor([1.0]))
    assert not guard.step_taken
    guard.read()
    guard.check_finite(torch.tensor([1.0]))
    assert guard.step_taken


def test_a_step_that_is_abandoned_leaves_the_buffers_as_they_were() -> None:
    norm = nn.BatchNorm2d(1)
    guard = Guard(CPU, [norm])
    before = guard.buffers()
    guard.begin_step()
    norm(torch.full((2, 1, 4, 4), 10.0))
    assert not all(map(torch.equal, guard.buffers(), before))
    guard.abandon_step()
    assert all(map(torch.equal, guard.buffers(), before))


def test_the_statistics_are_the_buffers_that_are_no_counters() -> None:
    norm = nn.BatchNorm2d(2)
    names = [name for name, value in norm.named_buffers() if any(value is one for one in Guard(CPU, [norm]).statistics)]
    assert names == ["running_mean", "running_var"]
