"""The generators in a file, whether that is a checkpoint or a model file."""

from __future__ import annotations

from pathlib import Path

from monet.checkpoint import model
from monet.errors import InputError
from monet.models import Generators, Misfit, Weights, generators_from_checkpoint, generators_from_model
from monet.training.stored import load_checkpoint


def load_generators(path: Path, weights: Weights = "ema") -> Generators:
    """Reads the trained generators to the CPU.

    Args:
        path: a checkpoint, or a model file (safetensors).
        weights: of a checkpoint: the averaged ones where the run has them, or the raw ones. A model file holds one
            kind.

    Raises:
        InputError: the file cannot be read, is damaged, or is another program's.
        MonetError: it is a model file, and safetensors is not installed.
    """
    if not model.is_model(path):
        return generators_from_checkpoint(load_checkpoint(path), weights)
    try:
        return generators_from_model(model.load(path))
    except Misfit as error:
        raise InputError(f"model {path} is damaged: {error}") from error
