"""The Fréchet distance between two sets of features, without the square root of a D×D matrix.

With the centred feature matrices A = (X − μ₁) / √(N − 1) and B = (Y − μ₂) / √(M − 1), the eigenvalues of Σ₁Σ₂ are the
squared singular values of A·Bᵀ, so tr (Σ₁Σ₂)^½ is the nuclear norm of that N×M matrix (Mathiasen & Hvilshøj 2020,
"Backpropagating through Fréchet Inception Distance"): with 300 references the eigenvalues of a 300×300 matrix.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Array = NDArray[np.float64]


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


class FrechetReference:
    """One side of many Fréchet distances: its mean, its spread and its centred features are kept.

    Args:
        features: (M, D), M from 2.
    """

    def __init__(self, features: NDArray[np.floating]) -> None:
        features = checked(features)
        self.mean: Array = features.mean(0)
        centred = (features - self.mean) / np.sqrt(len(features) - 1)
        # More rows than columns say nothing new: a triangle with the same BᵀB replaces them.
        self.root: Array = scipy.linalg.qr(centred, mode="r")[0][: centred.shape[1]] if _tall(centred) else centred
        self.spread = float(np.square(centred).sum())

    def distance(self, generated: NDArray[np.floating]) -> float:
        """The distance of a set, (N, D), to this one."""
        features = checked(generated)
        if features.shape[1] != self.root.shape[1]:
            raise ValueError(f"features of {features.shape[1]} and {self.root.shape[1]} numbers cannot be compared")
        mean = features.mean(0)
        centred = (features - mean) / np.sqrt(len(features) - 1)
        product = centred @ self.root.T
        trace = nuclear_norm(product.T @ product)
        return float(np.square(mean - self.mean).sum() + np.square(centred).sum() + self.spread - 2 * trace)


def nuclear_norm(gram: Array) -> float:
    """The sum of the singular values of P, from PᵀP."""
    eigenvalues = scipy.linalg.eigvalsh(gram, check_finite=False)
    return float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())


def checked(features: NDArray[np.floating]) -> Array:
    """Features in float64, of at least two images, all finite."""
    values: Array = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"a Fréchet distance needs features of at least two images, (N, D); found {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("features hold values that are not finite")
    return values


def _tall(matrix: Array) -> bool:
    return matrix.shape[0] > matrix.shape[1]
