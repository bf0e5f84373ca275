"""Scoring sets of images against one reference."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monet.clock import Clock
from monet.device import synchronize
from monet.display import Display
from monet.scoring.bootstrap import resampled_counts, resampled_distances
from monet.scoring.cache import FeatureCache, FeatureKey
from monet.scoring.evaluation import Evaluation, evaluated
from monet.scoring.frechet import FrechetReference
from monet.scoring.images import ImageSet, open_images
from monet.scoring.inception import FeatureExtractor
from monet.scoring.score import require_epsilon
from monet.scoring.weights import InceptionWeights
from monet.sizes import SIDE

logger = logging.getLogger(__name__)

_BATCH = 32
_MOST_ROWS = 20_000
"""Images with which the resampling is timed; more of them take proportionally longer."""


@dataclass(frozen=True)
class _Read:
    """A set that has been through the network."""

    images: ImageSet
    digest: str
    features: NDArray[np.float32]
    """Shape (N, D)."""


class Scorer:
    """Scores sets of images with one network against one reference; every set goes through the network once.

    Args:
        extractor: images to features.
        reference: folder or archive of what is compared with.
        training: of the paintings that could have been memorized; the reference by default.
        epsilon: threshold of the memorization distance.
        cache: features that are known already.
        workers: threads that decode.
        display: shows progress.

    Raises:
        InputError: epsilon is out of range.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        *,
        reference: Path,
        training: Path | None = None,
        epsilon: float = 0.1,
        cache: FeatureCache,
        workers: int,
        display: Display | None = None,
    ) -> None:
        require_epsilon(epsilon)
        self.reference = reference
        self.training = training or reference
        self.epsilon = epsilon
        self._extractor = extractor
        self._cache = cache
        self._workers = workers
        self._display = display or Display()

    def evaluate(self, generated: Path) -> Evaluation:
        """Scores a folder or an archive.

        Raises:
            InputError: a set is empty, too small, unreadable or of mixed sizes.
        """
        reference, training = self._reference, self._training
        read = self._read(generated)
        warnings = []
        if read.digest == reference.digest:
            warnings.append(f"{generated} and {self.reference} hold the same images: a distance of 0 says nothing")
        if not self._extractor.weights.known:
            warnings.append(f"{self._extractor.weights.source} are not torch-fidelity's released weights")
        return evaluated(
            read.features,
            reference.features,
            training.features,
            epsilon=self.epsilon,
            draws=self.draws,
            layer=self._extractor.layer,
            weights=self._extractor.weights,
            warnings=tuple(warnings),
        )

    def prepare(self) -> None:
        """Reads the reference now.

        Raises:
            InputError: it is empty, too small, unreadable or of mixed sizes.
        """
        _ = self._reference, self._training

    @property
    def draws(self) -> int:
        """Resamplings for an interval. Each takes the eigenvalues of a matrix as wide as there are references, or
        features: a few hundred paintings take milliseconds, thousands of images seconds."""
        return 400 if min(self._reference.features.shape) <= 512 else 100

    @property
    def paintings(self) -> ImageSet:
        """The paintings that could have been memorized, in the order of `Closeness.painting`."""
        return self._training.images

    @property
    def weights(self) -> InceptionWeights:
        """Of the network."""
        return self._extractor.weights

    @property
    def reference_features(self) -> NDArray[np.float32]:
        """Of the reference, (M, D)."""
        return self._reference.features

    @property
    def training_features(self) -> NDArray[np.float32]:
        """Of the paintings that could have been memorized, (K, D)."""
        return self._training.features

    @property
    def basis(self) -> dict[str, str | float]:
        """Facts that scores must have in common to be compared, besides the photos."""
        return {
            "reference": self._reference.digest,
            "training": self._training.digest,
            "weights_sha256": self._extractor.weights.sha256,
            "feature_layer": self._extractor.layer,
            "epsilon": self.epsilon,
        }

    def extraction_seconds(self, images: int, clock: Clock) -> float:
        """Returns how long the network takes here for so many images, measured with a few.

        As in `seconds_per_photo`, what is queued is waited for, and a first batch is not timed.
        """
        batch = np.random.default_rng(0).integers(0, 256, (_BATCH, SIDE, SIDE, 3), dtype=np.uint8)
        self._extractor.features([batch])
        synchronize(self._extractor.device)
        start = clock()
        self._extractor.features([batch])
        synchronize(self._extractor.device)
        return (clock() - start) / len(batch) * images

    def seconds(self, images: int, clock: Clock) -> float:
        """Returns how long `evaluate` takes here for so many images, measured with a few images and a few resamplings.

        Args:
            images: in the set.
            clock: tells the time.
        """
        reference = self._reference.features
        rows = min(images, _MOST_ROWS)
        features = np.resize(reference, (rows, reference.shape[1]))
        took = []
        for draws in (self._workers, 3 * self._workers):
            start = clock()
            resampled_distances(features, FrechetReference(reference), resampled_counts(rows, draws, seed=0))
            took.append(clock() - start)
        each = max(0.0, took[1] - took[0]) / (2 * self._workers)
        resampling = max(took[0], took[1] + each * (self.draws - 3 * self._workers))
        return self.extraction_seconds(images, clock) + resampling * images / rows

    @cached_property
    def _reference(self) -> _Read:
        return self._read(self.reference)

    @cached_property
    def _training(self) -> _Read:
        return self._reference if self.training == self.reference else self._read(self.training)

    def _read(self, path: Path) -> _Read:
        images = open_images(path)
        digest = images.digest()
        return _Read(images, digest, self._features(images, digest))

    def _features(self, images: ImageSet, digest: str) -> NDArray[np.float32]:
        """Returns features of a set, (N, D), from the cache where they are there whole."""
        key = FeatureKey(digest, self._extractor.weights.sha256, self._extractor.layer)
        if (known := self._cache.get(key, (len(images.names), int(self._extractor.layer)))) is not None:
            return known
        self._display.begin("scoring", len(images.names), "images")
        features = self._extractor.features(images.batches(_BATCH, self._workers), self._display.advance)
        self._display.end()
        self._cache.put(key, features)
        return features
