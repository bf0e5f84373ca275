"""FID, MiFID and KID of images that are handed in batch by batch."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monet.data.pixels import Pixels, to_pixels
from monet.errors import InputError
from monet.scoring.inception import FeatureExtractor
from monet.scoring.score import Score, require_epsilon, score

logger = logging.getLogger(__name__)


class ScoreAccumulator:
    """Collects the features of real and generated images, and scores the generated ones against the real ones.

    Args:
        extractor: images to features.
        epsilon: threshold of the memorization distance, above 0 and up to 1.

    Raises:
        InputError: epsilon is out of range.
    """

    def __init__(self, extractor: FeatureExtractor, *, epsilon: float = 0.1) -> None:
        require_epsilon(epsilon)
        self.epsilon = epsilon
        """Threshold of the memorization distance."""
        self._extractor = extractor
        self._features: dict[bool, list[NDArray[np.float32]]] = {True: [], False: []}

    def update(self, images: Tensor | Pixels, *, real: bool) -> None:
        """Adds a batch of images.

        Args:
            images: a tensor, (B, 3, H, W), uint8 0…255 or float −1…1, on any device; or an array, (B, H, W, 3), uint8.
                RGB. Every batch may have another size.
            real: the images are references; otherwise they are generated.

        Raises:
            TypeError: the images are neither.
            ValueError: the shape, the dtype or the range is another.
        """
        self._features[real].append(self._extractor.features([_pixels(images)]))

    def compute(self) -> Score:
        """Scores all generated images against all real ones.

        Raises:
            InputError: there are fewer than two images of a kind.
        """
        counts = {kind: sum(map(len, self._features[real])) for kind, real in (("real", True), ("generated", False))}
        for kind, count in counts.items():
            if count < 2:
                raise InputError(f"{count} {kind} images: a score needs at least two; add them with update")
        generated, real = (np.concatenate(self._features[kind]) for kind in (False, True))
        return score(generated, real, epsilon=self.epsilon)

    def reset(self, *, keep_real: bool = False) -> None:
        """Forgets all images.

        Args:
            keep_real: keep the references, to score other images against them.
        """
        self._features = {True: self._features[True] if keep_real else [], False: []}


def _pixels(images: Tensor | Pixels) -> Pixels:
    """Returns images as (B, H, W, 3) uint8."""
    if isinstance(images, Tensor):
        if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise ValueError(f"images have shape {tuple(images.shape)}: expected (B, 3, H, W)")
        if images.is_floating_point():
            if not bool((images.abs() <= 1).all()):
                raise ValueError(f"images are {images.dtype} and not all from −1 to 1: expected that, or uint8 0…255")
            if not bool((images < 0).any()):
                logger.warning("no value of these images is below 0: −1…1 is expected, so that 0…1 counts as bright")
            return to_pixels(images)
        if images.dtype != torch.uint8:
            raise ValueError(f"images are {images.dtype}: expected uint8 0…255, or float from −1 to 1")
        return images.permute(0, 2, 3, 1).cpu().numpy()
    if not isinstance(images, np.ndarray):
        raise TypeError(f"images are a {type(images).__name__}: expected a tensor or a NumPy array")
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or 0 in images.shape:
        raise ValueError(
            f"images have shape {images.shape} and dtype {images.dtype}: expected (B, H, W, 3), uint8, or a tensor"
        )
    return np.require(images, requirements=["C", "W"])
