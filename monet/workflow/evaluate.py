"""Scoring one set of images against another."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monet.errors import InputError
from monet.scoring.cache import FeatureCache, FeatureKey
from monet.scoring.images import ImageSet, open_images
from monet.scoring.inception import FeatureExtractor
from monet.scoring.score import Score, score
from monet.workflow.display import Display

logger = logging.getLogger(__name__)

_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A score, and what it was made with."""

    score: Score
    """The numbers."""
    feature_layer: str
    """Layer of the network."""
    weights: str
    """Where its weights come from."""
    weights_sha256: str
    """Of the weights' file."""
    weights_known: bool
    """They are torch-fidelity's released ones."""
    warnings: tuple[str, ...]
    """What makes the score worth less than it looks."""


class Scorer:
    """Scores sets of images with one network, each set once.

    Args:
        extractor: images to features.
        cache: features that are known already.
        workers: threads that decode.
        display: shows progress.
    """

    def __init__(
        self, extractor: FeatureExtractor, *, cache: FeatureCache, workers: int, display: Display | None = None
    ) -> None:
        self._extractor = extractor
        self._cache = cache
        self._workers = workers
        self._display = display or Display()

    def evaluate(
        self, generated: Path, reference: Path, training: Path | None = None, *, epsilon: float = 0.1
    ) -> Evaluation:
        """Scores a folder or an archive.

        Args:
            generated: what is scored.
            reference: what it is compared with.
            training: the paintings that could have been memorized; the reference by default.
            epsilon: threshold of the memorization distance.

        Raises:
            InputError: a set is empty, too small, unreadable or of mixed sizes.
        """
        if not 0 < epsilon <= 1:
            raise InputError(f"epsilon is {epsilon}: give a number above 0 and up to 1")
        sets = [open_images(path) for path in (generated, reference, *([training] if training else []))]
        digests = [images.digest() for images in sets]
        features = [self._features(images, digest) for images, digest in zip(sets, digests, strict=True)]
        warnings = []
        if digests[0] == digests[1]:
            warnings.append(f"{generated} and {reference} hold the same images: a distance of 0 is no triumph")
        if not self._extractor.weights.known:
            warnings.append(f"{self._extractor.weights.source} are not torch-fidelity's released weights")
        return Evaluation(
            score=score(features[0], features[1], features[2] if training else None, epsilon=epsilon),
            feature_layer=self._extractor.layer,
            weights=self._extractor.weights.source,
            weights_sha256=self._extractor.weights.sha256,
            weights_known=self._extractor.weights.known,
            warnings=tuple(warnings),
        )

    def _features(self, images: ImageSet, digest: str) -> NDArray[np.float32]:
        """Features of a set, (N, D), from the cache where they are there whole."""
        key = FeatureKey(digest, self._extractor.weights.sha256, self._extractor.layer)
        if (known := self._cache.get(key)) is not None:
            return known
        self._display.begin("scoring", len(images.names), "images")
        features = self._extractor.features(images.batches(_BATCH, self._workers), self._display.advance)
        self._display.end()
        self._cache.put(key, features)
        return features
