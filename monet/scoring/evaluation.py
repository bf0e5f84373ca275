"""The evaluation of one set of generated images: its scores, their intervals, and the closest training paintings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monet.scoring.bootstrap import Resampled, resampled_counts, resampled_fid, resampled_mifid
from monet.scoring.frechet import FrechetReference
from monet.scoring.memorization import nearest
from monet.scoring.score import Score, score
from monet.scoring.weights import InceptionWeights


@dataclass(frozen=True)
class Closeness:
    """A generated image, and the training painting that it comes closest to."""

    image: int
    """Number of the generated image, from 0."""
    painting: int
    """Number of the painting, from 0."""
    distance: float
    """1 − |cosine| of their features, 0…1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Scores of one set, and what they were made with."""

    score: Score
    """The numbers."""
    fid: Resampled
    """FID with its resampled values."""
    mifid: Resampled
    """MiFID with its resampled values; the same photos in each, whatever set is evaluated."""
    closest: tuple[Closeness, ...]
    """Every image that has a direction, the closest to a painting first."""
    feature_layer: str
    """Layer of the network."""
    weights: str
    """Where its weights come from."""
    weights_sha256: str
    """Of the weights' file."""
    weights_known: bool
    """They are torch-fidelity's released ones."""
    warnings: tuple[str, ...] = ()
    """Reasons why the score is worth less than it looks."""

    @property
    def memorized(self) -> bool:
        """The memorization distance is below epsilon, so that FID is divided by it."""
        return self.score.memorization_distance < self.score.epsilon

    def numbers(self) -> dict[str, Any]:
        """Returns all that is said about the set as a whole, as JSON has it; intervals are those of 95 %."""
        fid, mifid = self.fid.interval(), self.mifid.interval()
        return {
            **asdict(self.score),
            "fid_low": fid.low,
            "fid_high": fid.high,
            "mifid_low": mifid.low,
            "mifid_high": mifid.high,
            "draws": len(self.fid.draws),
            "feature_layer": self.feature_layer,
            "weights": self.weights,
            "weights_sha256": self.weights_sha256,
            "weights_known": self.weights_known,
            "warnings": list(self.warnings),
        }


def evaluated(
    generated: NDArray[np.float32],
    reference: NDArray[np.float32],
    training: NDArray[np.float32],
    *,
    epsilon: float,
    draws: int,
    layer: str,
    weights: InceptionWeights,
    warnings: tuple[str, ...] = (),
    seed: int = 0,
) -> Evaluation:
    """Scores features, and resamples the generated images.

    Args:
        generated: (N, D).
        reference: (M, D).
        training: (K, D), the paintings that could have been memorized.
        epsilon: threshold of the memorization distance.
        draws: resamplings.
        layer: where the features come from.
        weights: of the network that they come from.
        warnings: what is known to lower the score's worth.
        seed: of the resamplings; those of sets of equally many images are the same, which pairs them.

    Raises:
        InputError: fewer than two images, features that are not finite, or all of them 0.
    """
    found = score(generated, reference, training, epsilon=epsilon)
    counts = resampled_counts(len(generated), draws, seed)
    distances, paintings = nearest(generated, training)
    fid = resampled_fid(generated, FrechetReference(reference), counts)
    return Evaluation(
        score=found,
        fid=fid,
        mifid=resampled_mifid(fid, distances, counts, epsilon),
        closest=tuple(
            Closeness(int(image), int(paintings[image]), float(distances[image]))
            for image in np.argsort(distances)
            if np.isfinite(distances[image])
        ),
        feature_layer=layer,
        weights=weights.source,
        weights_sha256=weights.sha256,
        weights_known=weights.known,
        warnings=warnings,
    )
