"""The image pool."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from monet.data.stream import Purpose
from monet.training.pool import ImagePool

YES, NO = torch.tensor(True), torch.tensor(False)


def fakes(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 2, 2).clone()


def shown(pool: ImagePool, *values: float, first: int, keep: Tensor = YES) -> list[float]:
    pairs = range(first, first + len(values))
    found = pool.exchange(fakes(*values), pairs, first)[:, 0, 0, 0].tolist()
    pool.finish_exchange(keep)
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


def test_a_pool_continues_from_its_state() -> None:
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


def test_an_exchange_that_is_finished_twice_is_put_back_once() -> None:
    pool = ImagePool(2, 0, Purpose.POOL_A)
    shown(pool, 1, 2, first=0)
    stored = pool.state_dict()["images"].clone()  # type: ignore[union-attr]
    pool.finish_exchange(NO)
    assert torch.equal(pool.state_dict()["images"], stored)  # type: ignore[arg-type]


def test_fakes_and_pairs_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ImagePool(2, 0, Purpose.POOL_A).exchange(fakes(1, 2), range(3), 0)
