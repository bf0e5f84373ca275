"""The checkpoints of a run that one could paint with."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from monet.config import Config, from_dict
from monet.data.stream import epoch_length
from monet.errors import InputError
from monet.models import Weights, generator_from_checkpoint
from monet.run_folder.folder import RunFolder
from monet.training.stored import load_checkpoint


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A checkpoint, without its tensors."""

    run: str
    """The run as it is called in tables."""
    folder: RunFolder
    """The run's folder."""
    path: Path
    """The file."""
    config: Config
    """Settings of the run when it was saved."""
    pairs: int
    """Pairs seen."""
    epochs: float
    """The same in epochs."""
    seconds: float
    """Training time."""
    decay_finished: bool
    """The learning rate had decayed to 0."""
    data: tuple[int, int]
    """Photos and paintings that were learned from."""
    digest: str
    """SHA-256 of the weights that paint."""

    @property
    def name(self) -> str:
        """The run and the file."""
        return f"{self.run}/{self.path.name}"


def find_all(runs: Sequence[Path], weights: Weights = "ema") -> list[Candidate]:
    """Returns the checkpoints of several runs; see `find_candidates`. Runs are called by their folder's name, or by the
    whole path where two have the same name. A run that is named twice counts once."""
    folders = {Path(os.path.realpath(path)): path for path in reversed(runs)}
    names = Counter(folder.name for folder in folders)
    return [
        candidate
        for folder, path in reversed(folders.items())
        for candidate in find_candidates(path, weights, name=folder.name if names[folder.name] == 1 else str(folder))
    ]


def find_candidates(run: Path, weights: Weights = "ema", name: str | None = None) -> list[Candidate]:
    """Returns all checkpoints of a run in the order of training; of several that hold the same generator, the first by
    name: a kept one rather than `last.pt`, which changes when the run is resumed.

    Args:
        run: its folder.
        weights: averaged where the run has them, or raw.
        name: of the run in tables; the folder's by default.

    Raises:
        InputError: there is no such run, it has no checkpoints, or one cannot be read.
    """
    folder = RunFolder(run)
    folder.require_kinds(but=folder.scores.name)  # what is not read; what cannot be kept there is a warning
    paths = folder.saved()
    if not paths:
        raise InputError(f"{run} holds no checkpoints: give the folder of a run, such as runs/NAME")
    found: dict[str, Candidate] = {}
    for path in paths:
        candidate = read_candidate(folder, path, weights, name)
        found.setdefault(candidate.digest, candidate)
    return sorted(found.values(), key=lambda candidate: candidate.pairs)


def read_candidate(folder: RunFolder, path: Path, weights: Weights = "ema", name: str | None = None) -> Candidate:
    """Reads the facts in a checkpoint.

    Raises:
        InputError: it cannot be read.
    """
    return candidate_of(folder, path, load_checkpoint(path), weights, name)


def candidate_of(
    folder: RunFolder, path: Path, contents: dict[str, Any], weights: Weights = "ema", name: str | None = None
) -> Candidate:
    """Returns the same for a checkpoint that is loaded."""
    config, counters = from_dict(contents["config"]), contents["counters"]
    photos, paintings = contents["data"]["photos"], contents["data"]["paintings"]
    return Candidate(
        run=name or folder.path.resolve().name,
        folder=folder,
        path=path,
        config=config,
        pairs=counters["pairs"],
        epochs=counters["pairs"] / epoch_length(config.data.samples_per_epoch, photos, paintings),
        seconds=counters["seconds"],
        decay_finished=counters["progress"] >= 1,
        data=(photos, paintings),
        digest=generator_digest(generator_from_checkpoint(contents, weights=weights)),
    )


def generator_digest(generator: nn.Module) -> str:
    """Returns the SHA-256 of a network's weights."""
    whole = hashlib.sha256()
    for name, value in sorted(generator.state_dict().items()):
        whole.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()
