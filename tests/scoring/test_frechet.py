from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from monet.scoring.frechet import FrechetReference, frechet_distance

Array = NDArray[np.float64]


def literal(x: Array, y: Array) -> float:
    """The formula as it is written, with the matrix square root."""
    sigma_x, sigma_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(sigma_x @ sigma_y)
    gap = x.mean(0) - y.mean(0)
    return float(gap @ gap + np.trace(sigma_x) + np.trace(sigma_y) - 2 * np.trace(root).real)


def decaying(rng: np.random.Generator, rows: int, columns: int, shift: float = 0.0) -> Array:
    """Features with a decaying spectrum, as those of a network have."""
    basis = np.linalg.qr(np.random.default_rng(5).normal(size=(columns, columns)))[0]
    return rng.normal(size=(rows, columns)) * np.arange(1, columns + 1) ** -0.8 @ basis + shift


@pytest.mark.parametrize(("rows", "others", "columns"), [(90, 40, 12), (40, 90, 12), (300, 200, 30), (7, 5, 3)])
def test_it_is_the_formula_with_the_matrix_square_root(rows: int, others: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    x, y = decaying(rng, rows, columns, 0.3), 1.5 * decaying(rng, others, columns)
    assert frechet_distance(x, y) == pytest.approx(literal(x, y), rel=1e-9)


def test_two_points_a_side_have_a_distance_that_can_be_done_by_hand() -> None:
    # Means (1, 0) and (0, 2): |gap|² = 5. Spreads: diag(2, 0) and diag(8, 0): traces 2 + 8, root √(2·8) = 4.
    x, y = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[-2.0, 2.0], [2.0, 2.0]])
    assert frechet_distance(x, y) == pytest.approx(5 + 2 + 8 - 2 * 4)


def test_spreads_over_n_minus_1_in_directions_that_do_not_meet_add_up() -> None:
    x, y = np.array([[-1.0, 0], [1, 0], [0, 0]]), np.array([[0.0, -3], [0, 3]])
    assert frechet_distance(x, y) == pytest.approx(2 / 2 + 18 / 1)


def test_equal_sets_have_no_distance_and_swapped_sets_the_same() -> None:
    rng = np.random.default_rng(1)
    x, y = decaying(rng, 50, 20), decaying(rng, 30, 20, 0.1)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


def test_it_agrees_with_torch_fidelity_on_features_as_wide_as_the_competitions() -> None:
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    rng = np.random.default_rng(2)
    x, y = decaying(rng, 700, 512, 0.05), decaying(rng, 300, 512)
    statistics = [fid_features_to_statistics(torch.from_numpy(features)) for features in (x, y)]
    theirs = fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert frechet_distance(x, y) == pytest.approx(theirs, rel=1e-6)


def test_it_is_exact_where_the_spectrum_decays_and_the_references_are_few() -> None:
    rng = np.random.default_rng(2)
    x, y = decaying(rng, 400, 512, 0.01), decaying(rng, 100, 512)
    a, b = (x - x.mean(0)) / np.sqrt(399), (y - y.mean(0)) / np.sqrt(99)
    trace = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.square(a).sum() + np.square(b).sum() - 2 * trace
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-7)


def test_features_in_float32_give_what_they_give_in_float64() -> None:
    rng = np.random.default_rng(4)
    x, y = (decaying(rng, count, 512, gap).astype(np.float32) for count, gap in ((700, 0.05), (300, 0.0)))
    exact = frechet_distance(x.astype(np.float64), y.astype(np.float64))
    assert frechet_distance(x, y) == pytest.approx(exact, rel=1e-12)


def test_a_reference_gives_many_distances() -> None:
    rng = np.random.default_rng(3)
    x, y = decaying(rng, 40, 8), decaying(rng, 30, 8, 1.0)
    reference = FrechetReference(y)
    assert reference.distance(x) == frechet_distance(x, y)
    assert reference.distance(x + 1) == frechet_distance(x + 1, y)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((1, 4)), r"at least two images, \(N, D\); found \(1, 4\)"),
        (np.ones(4), r"found \(4,\)"),
        (np.full((3, 4), np.nan), "not finite"),
        (np.ones((3, 5)), "features of 5 and 4 numbers"),
    ],
)
def test_what_cannot_be_compared_is_said(x: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance(x, np.random.default_rng(0).normal(size=(6, 4)))
