"""The image pool, the moving average, the guard and the schedule."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from monet.data.stream import Purpose
from monet.training.ema import MovingAverage
from monet.training.guard import Guard
from monet.training.pool import ImagePool
from monet.training.trainer import learning_rate

YES, NO = torch.tensor(True), torch.tensor(False)


def fakes(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 2, 2).clone()


def shown(pool: ImagePool, *values: float, first: int, keep: Tensor = YES) -> list[float]:
    pairs = range(first, first + len(values))
    found = pool.exchange(fakes(*values), pairs, first)[:, 0, 0, 0].tolist()
    pool.settle(keep)
    return found


def test_a_pool_of_size_0_passes_every_fake_through() -> None:
    assert shown(ImagePool(0, 0, Purpose.POOL_A), 1, 2, 3, first=0) == [1, 2, 3]


def test_a_pool_shows_new_images_until_it_is_full() -> None:
    pool = ImagePool(4, 0, Purpose.POOL_A)
    assert shown(pool, 1, 2, first=0) + shown(pool, 3, 4, first=2) == [1, 2, 3, 4]


def test_a_full_pool_exchanges_half_of_the_images_and_loses_none() -> None:
    pool, count = ImagePool(50, 1, Purpose.POOL_A), 4000
    given = [float(value) for value in range(count)]
    out = [value for start in range(0, count, 4) for value in shown(pool, *given[start : start + 4], first=start)]
    assert out[:50] == given[:50]
    older = [shown_value != new for shown_value, new in zip(out[50:], given[50:], strict=True)]
    assert 0.47 < sum(older) / len(older) < 0.53
    # An image is shown when it is new, or once more after a stay in the pool; never twice from the pool.
    stored = pool.state_dict()["images"]
    assert stored is not None
    held = set(stored[:, 0, 0, 0].tolist())
    assert len(held) == 50
    assert set(out) | held == set(given)
    # A stay lasts 50 / ½ = 100 images on average.
    stays = [new - shown_value for shown_value, new in zip(out[50:], given[50:], strict=True) if shown_value != new]
    assert 85 < sum(stays) / len(stays) < 115


def test_choices_depend_on_seed_and_pair_not_on_the_batch() -> None:
    def history(batch: int, seed: int = 3) -> list[float]:
        pool, given = ImagePool(5, seed, Purpose.POOL_A), [float(value) for value in range(60)]
        return [v for start in range(0, 60, batch) for v in shown(pool, *given[start : start + batch], first=start)]

    assert history(1) == history(4) == history(6)
    assert history(1) != history(1, seed=4)


def test_a_pool_goes_on_from_its_state() -> None:
    pool = ImagePool(3, 0, Purpose.POOL_B)
    shown(pool, 1, 2, 3, 4, 5, first=0)
    other = ImagePool(3, 0, Purpose.POOL_B)
    other.load_state_dict({"images": pool.state_dict()["images"].clone()}, torch.device("cpu"))  # type: ignore[union-attr]
    assert shown(pool, 6, 7, 8, 9, first=5) == shown(other, 6, 7, 8, 9, first=5)


@pytest.mark.parametrize("filled", [1, 3])
def test_a_bad_batch_is_not_stored(filled: int) -> None:
    pool = ImagePool(3, 0, Purpose.POOL_A)
    shown(pool, *[1, 2, 3][:filled], first=0)
    before = pool.state_dict()["images"].clone()  # type: ignore[union-attr]
    shown(pool, *[math.nan] * 9, first=filled, keep=NO)
    assert torch.equal(pool.state_dict()["images"], before)  # type: ignore[arg-type]


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


def test_the_guard_counts_the_good_steps_before_the_first_bad_one() -> None:
    guard = Guard(torch.device("cpu"))
    for loss in (1.0, 2.0, math.inf, 3.0, 4.0):
        guard.check_finite(torch.tensor([loss, 1.0]))
    assert guard.found_inf.item() == 1.0
    assert not guard.good
    assert guard.read() == 2
    assert guard.good
    guard.check_finite(torch.tensor([1.0]))
    assert guard.read() is None


@pytest.mark.parametrize("gradient", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_as_bad_as_a_loss(gradient: float) -> None:
    guard = Guard(torch.device("cpu"))
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([0.0, gradient, 0.0])
    guard.check_finite(torch.tensor([1.0]), [parameter])
    assert guard.read() == 0


def test_after_a_bad_step_losses_are_poisoned_and_running_statistics_stay() -> None:
    norm = nn.BatchNorm2d(1)
    guard = Guard(torch.device("cpu"), [norm])
    guard.begin_step()
    norm(torch.full((2, 1, 4, 4), math.nan))
    guard.check_finite(torch.tensor([math.nan]))
    assert norm.get_buffer("running_mean").item() == 0
    assert guard.poison(torch.tensor(1.0)).isnan()
    guard.read()
    guard.begin_step()
    norm(torch.full((2, 1, 4, 4), 10.0))
    guard.check_finite(torch.tensor([1.0]))
    assert norm.get_buffer("running_mean").item() == pytest.approx(1.0)
    assert guard.poison(torch.tensor(1.0)) == 1


@pytest.mark.parametrize(
    ("progress", "share"), [(0.0, 1.0), (0.5, 1.0), (0.6, 0.8), (0.75, 0.5), (0.99, 0.02), (1.0, 0.0), (1.2, 0.0)]
)
def test_the_learning_rate_is_constant_and_then_linear_to_0(progress: float, share: float) -> None:
    assert learning_rate(2e-4, progress, 0.5) == pytest.approx(2e-4 * share)


def test_the_decay_may_begin_at_once() -> None:
    assert learning_rate(1.0, 0.25, 0.0) == 0.75
