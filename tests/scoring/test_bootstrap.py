from __future__ import annotations

import numpy as np
import pytest

from monet.scoring.bootstrap import interval, resampled_counts, resampled_distances, tied_with_leader
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
    reference = FrechetReference(y)
    value = reference.distance(x)
    draws = resampled_distances(x, reference, resampled_counts(60, 200, seed=0))
    assert np.quantile(draws, 0.025) > value  # the plain interval misses it
    found = interval(value, draws)
    assert found.low < value < found.high


def coverage(repetitions: int, draws: int) -> float:
    """How often the interval of a difference holds the true one.

    Two translators of the same photos: what they make differs by a shift, so that for any number of photos the true
    difference of the distances is that of the squared gaps between the means.
    """
    rng = np.random.default_rng(7)
    columns = 8
    reference = FrechetReference(rng.normal(size=(60, columns)))
    shift = np.linspace(0.1, 0.4, columns)
    truth = float(np.square(shift - reference.mean).sum() - np.square(reference.mean).sum())
    held = 0
    for repetition in range(repetitions):
        photos = rng.normal(size=(150, columns))
        one = photos + 0.3 * rng.normal(size=photos.shape)
        two = photos + 0.3 * rng.normal(size=photos.shape) + shift
        counts = resampled_counts(len(photos), draws, seed=repetition)
        values = [reference.distance(features) for features in (one, two)]
        samples = [resampled_distances(features, reference, counts) for features in (one, two)]
        found = interval(values[1] - values[0], samples[1] - samples[0])
        held += found.low <= truth <= found.high
    return held / repetitions


def test_the_interval_of_a_difference_holds_the_true_one_about_as_often_as_it_says() -> None:
    assert 0.90 <= coverage(200, 200) <= 0.99


def test_the_leader_ties_with_itself_and_with_what_cannot_be_told_apart() -> None:
    rng = np.random.default_rng(0)
    reference = FrechetReference(rng.normal(size=(60, 6)))
    photos = rng.normal(size=(200, 6))
    sets = [photos + 1.0, photos, photos + 1e-4 * rng.normal(size=photos.shape)]
    counts = resampled_counts(200, 100, seed=0)
    values = [reference.distance(features) for features in sets]
    found = tied_with_leader(values, [resampled_distances(features, reference, counts) for features in sets])
    tied = [item.low <= 0 <= item.high for item in found]
    assert tied == [False, True, True]
    assert min(item.value for item in found) == 0
