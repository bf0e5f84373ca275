"""Features on disk, so that a set of images goes through the network once."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monet.errors import MonetError
from monet.files import require_regular, written_whole
from monet.zips import read_member

logger = logging.getLogger(__name__)

VERSION = 1
"""Raised whenever features would come out differently."""
_AROUND = 10_000
"""Bytes that an entry may hold besides its features."""
_LONGEST = 200
"""Characters of a reason in the log."""


@dataclass(frozen=True)
class FeatureKey:
    """Everything that features depend on.

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
    """Features by what they depend on. An entry that is not right in every byte that counts is as good as none.

    Args:
        folder: made when something is written; None for a cache that keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: FeatureKey, shape: tuple[int, int] | None = None) -> NDArray[np.float32] | None:
        """Returns the features, or None where they are not there whole.

        Args:
            key: what they depend on.
            shape: (N, D) that they must have: as many rows as there are images; None for any.
        """
        if self._folder is None:
            return None
        path = self._folder / key.name
        try:
            return _read(path, key, shape)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # damaged entries make zipfile and numpy raise nearly anything  # noqa: BLE001
            reason = " ".join(str(error).split()) or type(error).__name__
            logger.warning("the cached features in %s are not right (%s): computed again", path, reason[:_LONGEST])
            return None

    def put(self, key: FeatureKey, features: NDArray[np.float32]) -> None:
        """Keeps features. A cache that cannot be written to is mentioned and done without."""
        if self._folder is None:
            return
        try:
            with written_whole(self._folder / key.name) as file:
                np.savez(file, features=features, key=np.array(key.text), digest=np.array(_digest(features)))
        except MonetError as error:
            logger.warning("features are not kept: %s", error)


def _read(path: Path, key: FeatureKey, shape: tuple[int, int] | None) -> NDArray[np.float32]:
    """Reads an entry as `put` writes it, and nothing else: no pickles, nothing compressed."""
    require_regular(path)
    if shape is not None and path.stat().st_size > 4 * shape[0] * shape[1] + _AROUND:
        raise ValueError("it is too large")
    with open(path, "rb") as file, zipfile.ZipFile(file) as entry:
        members = {member.filename: member for member in entry.infolist()}
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise ValueError("it is compressed")
        features = _parse(read_member(file, entry, members["features.npy"]))
        for name, expected in (("key", key.text), ("digest", _digest(features))):
            if read_member(file, entry, members[f"{name}.npy"]) != _packed(expected):
                raise ValueError(f"it has another {name}")
    if shape not in (None, features.shape):
        raise ValueError(f"it has the shape {features.shape}, expected {shape}")
    if not np.isfinite(features).all():
        raise ValueError("it holds numbers that are not finite")
    return features


def _parse(data: bytes) -> NDArray[np.float32]:
    """Returns the matrix in a `.npy` file; what its header says is compared with its length before there is an
    array."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it has another format")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype != np.float32 or fortran_order or len(shape) != 2:
        raise ValueError(f"it holds {dtype} of shape {shape}")
    return np.frombuffer(data, np.float32, offset=file.tell()).reshape(shape).copy()


def _packed(text: str) -> bytes:
    """Returns a text as `np.savez` writes it."""
    file = io.BytesIO()
    np.save(file, np.array(text))
    return file.getvalue()


def _digest(features: NDArray[np.float32]) -> str:
    shape = f"{features.dtype}{features.shape}".encode()
    return hashlib.sha256(shape + np.ascontiguousarray(features).tobytes()).hexdigest()
