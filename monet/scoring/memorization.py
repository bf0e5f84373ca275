"""How close generated images come to the training paintings, and what that costs (Bai et al. 2021, "On training sample
memorization: lessons from benchmarking generative modeling with a large-scale competition")."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def nearest(generated: NDArray[np.floating], reference: NDArray[np.floating]) -> tuple[Array, NDArray[np.intp]]:
    """Returns the training painting that is nearest to each generated image: d_ij = 1 − |cos(g_i, r_j)|, minimum over
    j.

    Args:
        generated: (N, D) features.
        reference: (M, D) features of the training paintings.

    Returns:
        The distances, 0…1, and the rows of the paintings. Rows of either set that sum to 0 have no direction and are
        left out: as distance nan and painting −1 where the generated image is such a row.

    Raises:
        ValueError: no row of one of the sets has a direction.
    """
    kept_generated, kept_reference = generated.sum(1) != 0, reference.sum(1) != 0
    if not (kept_generated.any() and kept_reference.any()):
        raise ValueError("all features of a set sum to 0: the memorization distance is not defined")
    cosines = np.abs(_unit(generated[kept_generated]) @ _unit(reference[kept_reference]).T)
    distances = np.full(len(generated), np.nan)
    paintings = np.full(len(generated), -1, dtype=np.intp)
    distances[kept_generated] = 1 - cosines.max(1)
    paintings[kept_generated] = np.flatnonzero(kept_reference)[cosines.argmax(1)]
    return distances, paintings


def memorization_distance(generated: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Returns the mean over the generated images of the distance to the nearest training painting, 0…1. See
    `nearest`."""
    return float(np.nanmean(nearest(generated, reference)[0]))


def mifid(fid: float, distance: float, epsilon: float = 0.1) -> float:
    """FID / (d + 1e-15), where the memorization distance d counts as itself below epsilon, strictly, and else as 1.

    Args:
        fid: Fréchet distance.
        distance: memorization distance.
        epsilon: the threshold; the competition's own value is unpublished, its sister's is 0.1.
    """
    return fid / ((distance if distance < epsilon else 1.0) + 1e-15)


def _unit(rows: NDArray[np.floating]) -> Array:
    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
