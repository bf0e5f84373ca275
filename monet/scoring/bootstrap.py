"""How far a score may be off: the bootstrap over the generated images, paired between sets of the same photos.

A bootstrapped Fréchet distance is biased upward: drawing with replacement leaves a third of the images out, and fewer
different images have a larger distance. The plain percentile interval can therefore miss the estimate itself. Each
interval here is moved by the bias, the mean of the resampled values less the estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monet.scoring.frechet import FrechetReference, checked, nuclear_norm

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and where the true value lies in 95 of 100 cases, as far as the photos that were drawn decide it."""

    value: float
    low: float
    high: float


def resampled_counts(images: int, draws: int, seed: int) -> NDArray[np.int64]:
    """How often each image is drawn in each resampling: (draws, images), each row sums to `images`.

    The same for every set of the same photos: that is what pairs them.
    """
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=draws)


def resampled_distances(
    generated: NDArray[np.floating], reference: FrechetReference, counts: NDArray[np.int64]
) -> Array:
    """The Fréchet distance of each resampling of a set.

    Args:
        generated: (N, D) features.
        reference: the other side; fixed.
        counts: (draws, N) from `resampled_counts`.
    """
    shifted = np.concatenate(list(reference.shifted(checked(generated))))
    products, squares = shifted @ reference.root.T, np.square(shifted).sum(1)
    total = len(shifted)
    distances = np.empty(len(counts))
    for draw, count in enumerate(counts):
        weights = count.astype(np.float64)
        mean, mean_product = weights @ shifted / total, weights @ products / total
        gram = (products * weights[:, None]).T @ products - total * np.outer(mean_product, mean_product)
        spread = (weights @ squares - total * mean @ mean) / (total - 1)
        trace = nuclear_norm(gram / (total - 1))
        distances[draw] = mean @ mean + spread + reference.spread - 2 * trace
    return distances


def interval(value: float, resampled: Array, level: float = 0.95) -> Interval:
    """The percentile interval, moved by the bias of the resampling."""
    bias = resampled.mean() - value
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]) - bias
    return Interval(value, float(low), float(high))


def tied_with_leader(values: Sequence[float], resampled: Sequence[Array]) -> list[Interval]:
    """The difference of each score to the lowest one, with its paired interval; those that hold 0 are ties.

    Args:
        values: scores; lower is better.
        resampled: their resampled values, from the same counts.
    """
    leader = int(np.argmin(values))
    return [
        interval(value - values[leader], draws - resampled[leader])
        for value, draws in zip(values, resampled, strict=True)
    ]
