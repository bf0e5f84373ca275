"""The Fréchet distance between two sets of features, without the square root of a D×D matrix.

With the centred feature matrices A = (X − μ₁) / √(N − 1) and B = (Y − μ₂) / √(M − 1), the eigenvalues of Σ₁Σ₂ are the
squared singular values of A·Bᵀ, so tr (Σ₁Σ₂)^½ is the nuclear norm of that N×M matrix (Mathiasen & Hvilshøj 2020,
"Backpropagating through Fréchet Inception Distance"): with 300 references the eigenvalues of a 300×300 matrix.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BLOCK = 512
"""Rows that are worked on at a time."""


def frechet_distance(generated: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """|μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2·tr (Σ₁Σ₂)^½, with Σ over N − 1, in float64.

    Only the products of centred features are taken in float32 where the features are: that halves the time and
    moves the distance by about 1e-8 of itself.

    Args:
        generated: (N, D) features; N from 2.
        reference: (M, D) features; M from 2. The distance is symmetric.

    Returns:
        The distance; 0 up to rounding for equal sets.

    Raises:
        ValueError: fewer than two rows, different widths, or values that are not finite.
    """
    return FrechetReference(reference).distance(generated)


class FrechetReference:
    """One side of many Fréchet distances: its mean, its spread and its centred features are kept.

    Args:
        features: (M, D), M from 2.
    """

    def __init__(self, features: NDArray[np.floating]) -> None:
        values = checked(features)
        self.mean: Array = values.mean(0)
        centred = (values - self.mean) / np.sqrt(len(values) - 1)
        # More rows than columns say nothing new: a triangle with the same BᵀB replaces them.
        self.root = np.asarray(np.linalg.qr(centred, mode="r")) if _tall(centred) else centred
        self.spread = float(np.square(centred).sum())

    def distance(self, generated: NDArray[np.floating]) -> float:
        """Returns the distance of a set, (N, D), to this one."""
        count = len(generated)
        total, squares, products = np.zeros_like(self.mean), 0.0, []
        precision = np.float32 if generated.dtype == np.float32 else np.float64
        root = self.root.T.astype(precision)
        for block in self.shifted(generated):
            total += block.sum(0)
            squares += float(np.vdot(block, block))
            products.append(block.astype(precision, copy=False) @ root)
        _require_finite(squares)
        gap = total / count
        spread = (squares - count * gap @ gap) / (count - 1)
        product = np.concatenate(products, dtype=np.float64)
        product -= product.mean(0)
        trace = nuclear_norm(product.T @ product / (count - 1))
        return float(gap @ gap + spread + self.spread - 2 * trace)

    def shifted(self, generated: NDArray[np.floating]) -> Iterator[Array]:
        """Returns a set's features in float64, with this set's mean as the origin, in blocks that fit a processor's
        caches.

        Raises:
            ValueError: fewer than two rows, or another width than this set's.
        """
        _require_rows(generated)
        if generated.shape[1] != len(self.mean):
            raise ValueError(f"features of {generated.shape[1]} and {len(self.mean)} numbers cannot be compared")
        for start in range(0, len(generated), _BLOCK):
            block: Array = generated[start : start + _BLOCK].astype(np.float64)
            block -= self.mean
            yield block


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
