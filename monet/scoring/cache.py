"""Features on disk, so that a set of images goes through the network once."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monet.errors import MonetError
from monet.files import written_whole

logger = logging.getLogger(__name__)

VERSION = 1
"""Raised whenever features would come out differently."""


@dataclass(frozen=True)
class FeatureKey:
    """What features depend on.

    Attributes:
        images: digest of the images' content, in order.
        weights: SHA-256 of the network's weights.
        layer: of the network.
        version: of the code.
    """

    images: str
    weights: str
    layer: str
    version: int = VERSION

    @property
    def name(self) -> str:
        """A file name."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:40] + ".npz"

    @property
    def text(self) -> str:
        """All of it, as it is written beside the features."""
        return json.dumps(asdict(self), sort_keys=True)


class FeatureCache:
    """Features by what they depend on. An entry that is damaged, or of another key, is as good as none.

    Args:
        folder: made when something is written; None for a cache that keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: FeatureKey) -> NDArray[np.float32] | None:
        """The features, shape (N, D), or None where they are not there whole."""
        if self._folder is None or not (path := self._folder / key.name).is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as entry:
                features = np.asarray(entry["features"])
                whole = str(entry["key"]) == key.text and str(entry["digest"]) == _digest(features)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            logger.warning("the cached features in %s are damaged (%s): computed again", path, error)
            return None
        if not whole or features.dtype != np.float32 or features.ndim != 2:
            logger.warning("the cached features in %s are not what they claim to be: computed again", path)
            return None
        return features

    def put(self, key: FeatureKey, features: NDArray[np.float32]) -> None:
        """Keeps features. A cache that cannot be written to is mentioned and done without."""
        if self._folder is None:
            return
        try:
            with written_whole(self._folder / key.name) as file:
                np.savez(file, features=features, key=np.array(key.text), digest=np.array(_digest(features)))
        except MonetError as error:
            logger.warning("features are not kept: %s", error)


def _digest(features: NDArray[np.float32]) -> str:
    shape = f"{features.dtype}{features.shape}".encode()
    return hashlib.sha256(shape + np.ascontiguousarray(features).tobytes()).hexdigest()
