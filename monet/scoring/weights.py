"""The weights of the Inception network: found, checked, and read without running code from them."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from monet.errors import InputError
from monet.files import require_regular

logger = logging.getLogger(__name__)

FILE_NAME = "weights-inception-2015-12-05-6726825d.pth"
"""The name under which torch-fidelity's release, and torch's hub cache, hold them."""
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the released file; its first eight digits are in the name."""


class NoWeights(InputError):
    """There are no weights here, and none could be downloaded."""


@dataclass(frozen=True)
class InceptionWeights:
    """A file of weights, in memory.

    Attributes:
        source: where they come from.
        sha256: of the file.
        data: the file.
    """

    source: str
    sha256: str
    data: bytes = field(repr=False)

    @property
    def known(self) -> bool:
        """They are the released ones, bit for bit."""
        return self.sha256 == SHA256

    def state_dict(self) -> Mapping[str, Any]:
        """Returns the tensors by name.

        Raises:
            InputError: the file is damaged, or holds more than tensors.
        """
        try:
            values = torch.load(io.BytesIO(self.data), map_location="cpu", weights_only=True)
        except Exception as error:  # damaged files make torch and its unpickler raise nearly anything
            raise InputError(f"weights {self.source} are damaged or hold more than tensors: get them again") from error
        if not isinstance(values, Mapping) or not all(_fits(name, value) for name, value in values.items()):
            raise InputError(f"weights {self.source} are not a state dict: give those of torch-fidelity's Inception")
        return values


def _fits(name: object, value: object) -> bool:
    """Returns whether a network may have a tensor like this."""
    return isinstance(name, str) and isinstance(value, torch.Tensor) and not (value.is_sparse or value.is_complex())


def named_weights(path: Path) -> InceptionWeights:
    """Returns weights that a user names; `known` tells whether they are the released ones.

    Raises:
        InputError: the file cannot be read.
    """
    return _read(path)


def cached_weights(hub_folder: Path) -> InceptionWeights | None:
    """Returns the released weights in torch's hub cache; None where they are not there or not whole.

    Args:
        hub_folder: as `torch.hub.get_dir()` gives it.
    """
    path = hub_folder / "checkpoints" / FILE_NAME
    if not path.is_file():
        return None
    weights = _read(path)
    if not weights.known:
        logger.warning("%s is damaged (SHA-256 %s…, expected %s…): ignored", path, weights.sha256[:8], SHA256[:8])
        return None
    return weights


def downloaded_weights(hub_folder: Path) -> InceptionWeights:
    """Returns the released weights from torch's hub cache, or from torch-fidelity's release on the network.

    Raises:
        NoWeights: there is no network, or what came is not the released file; the message says how to get them by hand.
    """
    if weights := cached_weights(hub_folder):
        return weights
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    path = hub_folder / "checkpoints" / FILE_NAME
    by_hand = f"put {FILE_NAME} from torch-fidelity's release v0.2.0 there, or name a copy with --inception-weights"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        logger.info("downloading the Inception weights (96 MB) to %s", path)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=SHA256, progress=False)
    except Exception as error:  # urllib passes on whatever the network does
        reason = " ".join(str(error).split()) or type(error).__name__
        raise NoWeights(f"no Inception weights in {path.parent}, and no download ({reason}): {by_hand}") from error
    return _read(path)


def _read(path: Path) -> InceptionWeights:
    require_regular(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"weights {path} cannot be read: {error.strerror or error}") from error
    return InceptionWeights(str(path), hashlib.sha256(data).hexdigest(), data)
