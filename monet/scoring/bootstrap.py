"""How far a score may be off: the bootstrap over the generated images, paired between sets of the same photos.

A bootstrapped Fréchet distance is biased upward: drawing with replacement leaves a third of the images out, and fewer
different images have a larger distance. The plain percentile interval can therefore miss the estimate itself. Here the
resampled distances are moved by that bias, their mean less the estimate, before anything is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from monet.machine import available_processors
from monet.scoring.frechet import FrechetReference, checked
from monet.scoring.memorization import mifid
from monet.threads import compute_threads

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate, and how far other photos would move it.

    What lies in it in 95 of 100 cases is the score that so many photos have on average. A Fréchet distance of few
    images is larger than that of many; this bias is part of the score, here as on a leaderboard.
    """

    value: float
    low: float
    high: float

    @property
    def holds_zero(self) -> bool:
        """For a difference: it cannot be told from none."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True, eq=False)
class Resampled:
    """An estimate, and what it would have been with other photos, free of the bias of resampling."""

    value: float
    draws: Array

    def __sub__(self, other: Resampled) -> Resampled:
        """Returns the difference of two estimates from the same resamplings: what the photos share cancels out."""
        return Resampled(self.value - other.value, self.draws - other.draws)

    def interval(self, level: float = 0.95) -> Interval:
        """Returns the middle `level` of the resampled values."""
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return Interval(self.value, float(low), float(high))


def resampled_counts(images: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Returns how often each image is drawn in each resampling: (draws, images), each row sums to `images`.

    The same for every set of the same photos: that is what pairs them.
    """
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=draws)


def resampled_distances(
    generated: NDArray[np.floating], reference: FrechetReference, counts: NDArray[np.int64]
) -> Array:
    """Returns the Fréchet distance of each resampling of a set, with its bias.

    Args:
        generated: (N, D) features.
        reference: the other side; fixed.
        counts: (draws, N) from `resampled_counts`.
    """
    shifted = np.concatenate(list(reference.shifted(checked(generated))))
    products, squares = shifted @ reference.root.T, np.square(shifted).sum(1)
    total = len(shifted)
    weights = counts.astype(np.float64)
    means, mean_products, mean_squares = (weights @ values / total for values in (shifted, products, squares))
    spreads = (mean_squares - np.square(means).sum(1)) * total / (total - 1)
    rows = torch.from_numpy(products)

    def trace(draw: int) -> float:
        with torch.inference_mode():
            centre = torch.from_numpy(mean_products[draw])
            gram = (rows * torch.from_numpy(weights[draw])[:, None]).T @ rows - total * torch.outer(centre, centre)
            return float(torch.linalg.eigvalsh(gram / (total - 1)).clamp_(min=0).sqrt_().sum())

    with compute_threads(available_processors()) as pool:  # over twice as fast as all processors for one draw
        traces = np.array(list(pool.map(trace, range(len(counts)))))
    return np.square(means).sum(1) + spreads + reference.spread - 2 * traces


def resampled_fid(generated: NDArray[np.floating], reference: FrechetReference, counts: NDArray[np.int64]) -> Resampled:
    """Returns the Fréchet distance of a set with its uncertainty. Arguments as for `resampled_distances`."""
    value = reference.distance(generated)
    draws = resampled_distances(generated, reference, counts)
    return Resampled(value, draws - (draws.mean() - value))


def resampled_mifid(fid: Resampled, distances: Array, counts: NDArray[np.int64], epsilon: float) -> Resampled:
    """MiFID with its uncertainty: every resampling is divided by its own memorization distance, if below epsilon.

    Args:
        fid: of the same resamplings.
        distances: (N,) of each image to its nearest training painting, as `nearest` gives them.
        counts: (draws, N).
        epsilon: threshold of the memorization distance.
    """
    known = np.isfinite(distances)
    means = counts[:, known] @ distances[known] / counts[:, known].sum(1)
    draws = np.array([mifid(draw, mean, epsilon) for draw, mean in zip(fid.draws, means, strict=True)])
    return Resampled(mifid(fid.value, float(distances[known].mean()), epsilon), draws)
