from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monet.scoring.memorization import memorization_distance, mifid, nearest

Array = NDArray[np.float64]


def literal(generated: Array, training: Array) -> float:
    """The public scorer's steps, one number at a time."""
    minima = []
    for g in generated:
        if sum(g) == 0:
            continue
        distances = []
        for r in training:
            if sum(r) == 0:
                continue
            cosine = sum(g * r) / (sum(g * g) ** 0.5 * sum(r * r) ** 0.5)
            distances.append(1 - abs(cosine))
        minima.append(min(distances))
    return sum(minima) / len(minima)


def test_it_is_the_public_scorers() -> None:
    rng = np.random.default_rng(0)
    generated, training = rng.normal(size=(9, 5)), rng.normal(size=(4, 5)) + 0.3
    generated[2], training[1] = 0, 0
    assert memorization_distance(generated, training) == pytest.approx(literal(generated, training), rel=1e-12)


def test_the_mean_is_over_the_generated_and_the_minimum_over_the_paintings() -> None:
    # Two generated images copy the one painting that is near; the other painting is near to nothing.
    generated = np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
    training = np.array([[3.0, 0.0], [0.0, 1.0]])
    expected = (0 + 0 + (1 - np.sqrt(0.5))) / 3
    assert memorization_distance(generated, training) == pytest.approx(expected)
    assert memorization_distance(training, generated) == pytest.approx((0 + (1 - np.sqrt(0.5))) / 2)


def test_opposite_features_are_as_near_as_equal_ones() -> None:
    assert memorization_distance(np.array([[-2.0, -1.0]]), np.array([[2.0, 1.0]])) == pytest.approx(0, abs=1e-12)


def test_the_nearest_painting_of_each_image_is_known() -> None:
    generated = np.array([[0.0, 1.0], [0.0, 0.0], [5.0, 1.0]])
    training = np.array([[0.0, 0.0], [1.0, 0.0], [0.1, 1.0]])
    distances, paintings = nearest(generated, training)
    assert paintings.tolist() == [2, -1, 1]
    assert np.isnan(distances[1])


def test_features_that_all_sum_to_0_have_no_distance() -> None:
    with pytest.raises(ValueError, match="not defined"):
        memorization_distance(np.zeros((3, 2)), np.ones((3, 2)))


@pytest.mark.parametrize(
    ("distance", "epsilon", "expected"),
    [(0.05, 0.1, 2 / 0.05), (0.1, 0.1, 2.0), (0.2, 0.1, 2.0), (0.15, 0.2, 2 / 0.15), (0.0, 0.1, 2e15)],
)
def test_only_a_distance_strictly_below_epsilon_counts(distance: float, epsilon: float, expected: float) -> None:
    assert mifid(2.0, distance, epsilon) == pytest.approx(expected, rel=1e-12)
