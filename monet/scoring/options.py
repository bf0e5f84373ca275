"""Options of a score, and the scorer that they ask for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from monet.context import Context
from monet.errors import InputError
from monet.machine import available_processors
from monet.scoring.accumulator import ScoreAccumulator
from monet.scoring.cache import FeatureCache
from monet.scoring.images import open_images
from monet.scoring.inception import LAYERS, FeatureExtractor, Layer
from monet.scoring.score import require_epsilon
from monet.scoring.scorer import Scorer
from monet.scoring.weights import (
    InceptionWeights,
    cached_weights,
    downloaded_weights,
    named_weights,
)


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Options of a score."""

    feature_layer: Layer = "2048"
    """Layer of Inception v3 that is compared; the competition's is 2048."""
    inception_weights: str | os.PathLike[str] | None = None
    """Weights of Inception v3; by default those in the weights' folder, else torch-fidelity's release is downloaded."""
    epsilon: float = 0.1
    """Memorization distances from here on count as 1."""
    train_paintings: str | os.PathLike[str] | None = None
    """The paintings that could have been memorized; the reference by default."""

    def __post_init__(self) -> None:
        if self.feature_layer not in LAYERS:
            raise InputError(f"feature_layer is {self.feature_layer!r}: give one of {', '.join(map(repr, LAYERS))}")
        require_epsilon(self.epsilon)

    @property
    def inputs(self) -> list[Path]:
        """Files and folders that are read, and that no output may replace."""
        return [Path(path) for path in (self.inception_weights, self.train_paintings) if path]

    def find_weights(self, folder: Path, *, download: bool) -> InceptionWeights | None:
        """Returns the weights of Inception; None where the released ones are not in the folder nor to be downloaded.

        Args:
            folder: PyTorch hub's.
            download: the released weights into it, where they are not there.

        Raises:
            InputError: they cannot be read.
            NoWeights: they cannot be downloaded.
        """
        if self.inception_weights:
            return named_weights(Path(self.inception_weights))
        return downloaded_weights(folder) if download else cached_weights(folder)

    def scorer(
        self,
        reference: Path,
        context: Context,
        *,
        device: torch.device,
        weights: InceptionWeights | None = None,
    ) -> Scorer:
        """Returns the scorer that these options ask for.

        Args:
            reference: folder or archive of the images that are compared with.
            context: the folders of features and of weights, which are downloaded where needed; who is told of progress.
            device: where Inception runs.
            weights: of Inception; those of these options by default.

        Raises:
            InputError: the weights cannot be had or used, or there are no images where they are said to be.
        """
        training = Path(self.train_paintings) if self.train_paintings else None
        if training:
            open_images(training)
        weights = weights or self.find_weights(context.weights_folder, download=True)
        assert weights
        workers = available_processors()
        return Scorer(
            FeatureExtractor(weights, self.feature_layer, device=device, workers=workers),
            reference=reference,
            training=training,
            epsilon=self.epsilon,
            cache=FeatureCache(context.cache_folder / "features"),
            workers=workers,
            display=context.display,
        )

    def accumulator(self, weights_folder: Path, *, device: torch.device) -> ScoreAccumulator:
        """Returns an accumulator of images in memory.

        Args:
            weights_folder: PyTorch hub's; the weights are downloaded there where they are needed.
            device: where Inception runs.

        Raises:
            InputError: there are training paintings, or the weights cannot be had or used.
        """
        if self.train_paintings:
            raise InputError("an accumulator has no training paintings of their own: its real images are the reference")
        weights = self.find_weights(weights_folder, download=True)
        assert weights
        extractor = FeatureExtractor(weights, self.feature_layer, device=device, workers=available_processors())
        return ScoreAccumulator(extractor, epsilon=self.epsilon)
