from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monet.scoring.bootstrap import (
    Resampled,
    resampled_counts,
    resampled_distances,
    resampled_fid,
    resampled_mifid,
)
from monet.scoring.frechet import FrechetReference, frechet_distance


def test_counts_draw_with_replacement_as_many_as_there_are() -> None:
    counts = resampled_counts(50, 400, seed=1)
    assert counts.shape == (400, 50)
    assert (counts.sum(1) == 50).all()
    assert abs((counts == 0).mean() - np.exp(-1)) < 0.02
    assert np.array_equal(counts, resampled_counts(50, 400, seed=1))
    assert not np.array_equal(counts, resampled_counts(50, 400, seed=2))


@pytest.mark.parametrize(("reference", "columns"), [(20, 6), (5, 9)])
def test_a_resampled_distance_is_that_of_the_repeated_rows(reference: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, columns)) + 100, rng.normal(size=(reference, columns)) + 101
    counts = resampled_counts(30, 8, seed=3)
    found = resampled_distances(x, FrechetReference(y), counts)
    for distance, count in zip(found, counts, strict=True):
        assert distance == pytest.approx(frechet_distance(np.repeat(x, count, axis=0), y), rel=1e-8)


def test_an_interval_holds_its_estimate_though_resampling_is_biased() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 40)), rng.normal(size=(50, 40))
    reference, counts = FrechetReference(y), resampled_counts(60, 200, seed=0)
    found = resampled_fid(x, reference, counts)
    assert found.value == reference.distance(x)
    assert np.quantile(resampled_distances(x, reference, counts), 0.025) > found.value  # the plain interval misses it
    assert found.draws.mean() == pytest.approx(found.value)
    assert found.interval().low < found.value < found.interval().high


def test_the_ends_of_an_interval_leave_an_equal_share_of_draws_outside() -> None:
    found = Resampled(50.0, np.arange(101.0)).interval(0.9)
    assert (found.value, found.low, found.high) == pytest.approx((50.0, 5.0, 95.0))
    assert not found.holds_zero
    assert Resampled(0.1, np.array([-1.0, 0.1, 1.0])).interval().holds_zero


def test_a_mifid_is_resampled_with_its_own_memorization_distance() -> None:
    fid = Resampled(6.0, np.array([5.0, 6.0, 7.0]))
    distances = np.array([0.05, np.nan, 0.25])  # the middle image has no direction
    counts = np.array([[3, 0, 0], [1, 1, 1], [0, 2, 1]])
    found = resampled_mifid(fid, distances, counts, epsilon=0.2)
    assert found.value == pytest.approx(6.0 / 0.15)
    assert found.draws == pytest.approx([5.0 / 0.05, 6.0 / 0.15, 7.0])  # the last distance, 0.25, counts as 1


REFERENCE = FrechetReference(np.random.default_rng(7).normal(size=(30, 8)))


def translations(
    rng: np.random.Generator, scale: float, shift: float, images: int = 60
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What two translators make of the same photos: the second moves and stretches what it makes."""
    photos = rng.normal(size=(images, 8))
    one, two = (photos + 0.3 * rng.normal(size=photos.shape) for _ in range(2))
    return one, scale * two + shift * np.linspace(0.25, 1, 8)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.4), (1.3, 0.0)])
def test_the_interval_of_a_difference_holds_the_true_one_about_as_often_as_it_says(scale: float, shift: float) -> None:
    rng = np.random.default_rng(1)
    # The true difference is that which so many photos have on average: known from many other photos.
    distances = [[REFERENCE.distance(made) for made in translations(rng, scale, shift)] for _ in range(2000)]
    truth = float(np.diff(distances).mean())
    held = 0
    for repetition in range(200):
        counts = resampled_counts(60, 100, seed=repetition)
        one, two = (resampled_fid(made, REFERENCE, counts) for made in translations(rng, scale, shift))
        found = (two - one).interval()
        held += found.low <= truth <= found.high
    assert 0.90 <= held / 200 <= 0.99


def test_paired_resamplings_tell_apart_what_intervals_of_their_own_would_not() -> None:
    rng = np.random.default_rng(0)
    reference = FrechetReference(rng.normal(size=(60, 6)))
    photos, counts = rng.normal(size=(200, 6)), resampled_counts(200, 100, seed=0)
    best, close, equal = (
        resampled_fid(features, reference, counts)
        for features in (photos, photos + 0.1, photos + 1e-4 * rng.normal(size=photos.shape))
    )
    assert close.interval().low < best.interval().high
    assert not (close - best).interval().holds_zero
    assert (equal - best).interval().holds_zero
