"""The Fréchet distance between two sets of features, without the square root of a D×D matrix.

With the centred feature matrices A = (X − μ₁) / √(N − 1) and B = (Y − μ₂) / √(M − 1), the eigenvalues of Σ₁Σ₂ are the
squared singular values of A·Bᵀ, so tr (Σ₁Σ₂)^½ is the nuclear norm of that N×M matrix (Mathiasen & Hvilshøj 2020,
"Backpropagating through Fréchet Inception Distance"): with 300 references the eigenvalues of a 300×300 matrix. All that
this needs of a set are sums over its images, which can be taken in parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BLOCK = 512
"""Rows that are worked on at a time."""


def frechet_distance(generated: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """|μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2·tr (Σ₁Σ₂)^½, with Σ over N − 1, in float64.

    Args:
        generated: (N, D) features; N from 2.
        reference: (M, D) features; M from 2. The distance is symmetric.

    Returns:
        The distance; 0 up to rounding for equal sets.

    Raises:
        ValueError: fewer than two rows, different widths, or values that are not finite.
    """
    return FrechetReference(reference).distance(generated)


@dataclass(frozen=True, eq=False)
class FeatureSums:
    """What a Fréchet distance to one reference needs of a set of features: sums over its images, in float64.

    The sums of two sets, added, are those of both together: however many images there are, and wherever they are, a set
    is as large as its reference's features (R × R numbers, R the smaller of D and M − 1), and not as its own.
    """

    count: int
    """Images."""
    total: Array
    """Sum of the features, less the reference's mean; shape (D,)."""
    squares: float
    """Sum of their squares."""
    projected: Array
    """Sum of their products with the reference's root; shape (R,)."""
    gram: Array
    """Sum of the outer products of the same; shape (R, R)."""

    def __add__(self, other: FeatureSums) -> FeatureSums:
        """Returns the sums of both sets together."""
        return FeatureSums(
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            self.projected + other.projected,
            self.gram + other.gram,
        )


class FrechetReference:
    """One side of many Fréchet distances: its mean, its spread and its centred features are kept.

    Args:
        features: (M, D), M from 2.
    """

    def __init__(self, features: NDArray[np.floating]) -> None:
        values = checked(features)
        self.mean: Array = values.mean(0)
        centred = (values - self.mean) / np.sqrt(len(values) - 1)
        # More rows than columns say nothing new: a triangle with the same BᵀB replaces them. Of fewer, one says nothing
        # new, as they sum to 0; a direction without spread would add the root of a rounding error.
        self.root = np.asarray(np.linalg.qr(centred, mode="r")) if _tall(centred) else _contrasts(centred)
        self.spread = float(np.square(centred).sum())

    def distance(self, generated: NDArray[np.floating]) -> float:
        """Returns the distance of a set, (N, D), to this one."""
        _require_rows(generated)
        return self.distance_of(self.sums(generated))

    def sums(self, generated: NDArray[np.floating]) -> FeatureSums:
        """Returns the sums of a set, (N, D), N from 1; those of its parts add up to them."""
        size = len(self.root)
        sums = FeatureSums(0, np.zeros_like(self.mean), 0.0, np.zeros(size), np.zeros((size, size)))
        for block in self.shifted(generated):
            products = block @ self.root.T
            square = float(np.vdot(block, block))
            sums += FeatureSums(len(block), block.sum(0), square, products.sum(0), products.T @ products)
        return sums

    def distance_of(self, sums: FeatureSums) -> float:
        """Returns the distance of a set of which only the sums are known.

        Raises:
            ValueError: they are of fewer than two images, or hold values that are not finite.
        """
        if sums.count < 2:
            raise ValueError(f"a Fréchet distance needs features of at least two images; found {sums.count}")
        _require_finite(sums.squares)
        gap = sums.total / sums.count
        spread = (sums.squares - sums.count * gap @ gap) / (sums.count - 1)
        centre = sums.projected / sums.count
        trace = nuclear_norm((sums.gram - sums.count * np.outer(centre, centre)) / (sums.count - 1))
        return float(gap @ gap + spread + self.spread - 2 * trace)

    def shifted(self, generated: NDArray[np.floating]) -> Iterator[Array]:
        """Returns a set's features in float64, with this set's mean as the origin, in blocks that fit a processor's
        caches.

        Raises:
            ValueError: another width than this set's.
        """
        if generated.shape[1] != len(self.mean):
            raise ValueError(f"features of {generated.shape[1]} and {len(self.mean)} numbers cannot be compared")
        for start in range(0, len(generated), _BLOCK):
            block: Array = generated[start : start + _BLOCK].astype(np.float64)
            block -= self.mean
            yield block


def _contrasts(centred: Array) -> Array:
    """Returns M − 1 rows B′ with the B′ᵀB′ of M rows that sum to 0, by the contrasts of Helmert: each row less the mean
    of those before it, scaled."""
    number = np.arange(1, len(centred), dtype=np.float64)[:, None]
    rows: Array = (np.cumsum(centred, axis=0)[:-1] - number * centred[1:]) / np.sqrt(number * (number + 1))
    return rows


def nuclear_norm(gram: Array) -> float:
    """Returns the sum of the singular values of P, from PᵀP."""
    eigenvalues = np.linalg.eigvalsh(gram)
    return float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())


def checked(features: NDArray[np.floating]) -> Array:
    """Returns features in float64, checked: at least two images, all finite."""
    values: Array = np.asarray(features, dtype=np.float64)
    _require_rows(values)
    _require_finite(float(np.vdot(values, values)))
    return values


def _require_rows(features: NDArray[np.floating]) -> None:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"a Fréchet distance needs features of at least two images, (N, D); found {features.shape}")


def _require_finite(sum_of_squares: float) -> None:
    if not np.isfinite(sum_of_squares):
        raise ValueError("features hold values that are not finite")


def _tall(matrix: Array) -> bool:
    return matrix.shape[0] > matrix.shape[1]
