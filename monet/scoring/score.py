"""FID, KID, memorization distance and MiFID of one set of features against another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from monet.errors import InputError
from monet.scoring.frechet import frechet_distance
from monet.scoring.memorization import memorization_distance, mifid

CAVEAT = "absolute values are for ranking only: with few references the FID is biased upward"
LEADERBOARD = (
    "identical runs scored on the real leaderboard differed by a standard deviation of 1.9: there, a gain of under "
    "about 4 points from a single run proves nothing"
)
REMARKS = (CAVEAT, LEADERBOARD)
"""Shown beside every score that ranks."""


def require_epsilon(epsilon: float) -> None:
    """Checks a threshold of the memorization distance.

    Raises:
        InputError: it is out of range.
    """
    if not 0 < epsilon <= 1:
        raise InputError(f"epsilon is {epsilon}: give a number above 0 and up to 1")


@dataclass(frozen=True, kw_only=True)
class Score:
    """The scores of a set of generated images; lower is better, but for the memorization distance."""

    fid: float
    """Fréchet distance to the reference."""
    mifid: float
    """FID, divided by the memorization distance where that is below epsilon."""
    memorization_distance: float
    """Mean over the generated images of the cosine distance to the nearest training painting, 0…1."""
    kid_mean: float
    """Kernel distance (Bińkowski et al. 2018), mean over subsets."""
    kid_std: float
    """Its standard deviation over subsets."""
    kid_subset_size: int
    """Images in each subset."""
    num_generated: int
    """Images scored."""
    num_reference: int
    """Images compared with."""
    epsilon: float
    """Threshold of the memorization distance."""


def score(
    generated: NDArray[np.float32],
    reference: NDArray[np.float32],
    training: NDArray[np.float32] | None = None,
    *,
    epsilon: float = 0.1,
    seed: int = 0,
) -> Score:
    """Scores features.

    Args:
        generated: (N, D).
        reference: (M, D).
        training: (K, D), the paintings that could have been memorized; the reference by default.
        epsilon: threshold of the memorization distance.
        seed: of the subsets for KID.

    Raises:
        InputError: fewer than two images, features that are not finite, or all of them 0.
    """
    try:
        fid = frechet_distance(generated, reference)
        distance = memorization_distance(generated, reference if training is None else training)
    except ValueError as error:
        raise InputError(str(error)) from error
    size = min(1000, max(2, min(len(generated), len(reference)) // 2))
    kid = _kid(generated, reference, size, seed)
    return Score(
        fid=fid,
        mifid=mifid(fid, distance, epsilon),
        memorization_distance=distance,
        kid_mean=kid["kernel_inception_distance_mean"],
        kid_std=kid["kernel_inception_distance_std"],
        kid_subset_size=size,
        num_generated=len(generated),
        num_reference=len(reference),
        epsilon=epsilon,
    )


def kid_of_subsets(
    generated: NDArray[np.float32], reference: NDArray[np.float32], *, size: int, subsets: int, seed: int
) -> list[float]:
    """Returns the kernel distances of random subsets.

    Args:
        generated: (N, D).
        reference: (M, D).
        size: images in each subset, of either set; at most N and M.
        subsets: their number.
        seed: of the subsets.
    """
    from torch_fidelity.metric_kid import kid_features_to_metric

    tensors = [torch.from_numpy(np.asarray(features, np.float64)) for features in (generated, reference)]
    found = (
        kid_features_to_metric(*tensors, kid_subset_size=size, kid_subsets=1, rng_seed=seed + number, verbose=False)
        for number in range(subsets)
    )
    return [float(values["kernel_inception_distance_mean"]) for values in found]


def _kid(generated: NDArray[np.float32], reference: NDArray[np.float32], size: int, seed: int) -> dict[str, float]:
    from torch_fidelity.metric_kid import kid_features_to_metric

    tensors = (torch.from_numpy(np.asarray(features, np.float64)) for features in (generated, reference))
    found = kid_features_to_metric(*tensors, kid_subset_size=size, rng_seed=seed, verbose=False)
    return {name: float(value) for name, value in found.items()}
