"""`scores.jsonl`: what the checkpoints of a run scored, a line each time."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from torch import nn

from monet.device import Precision
from monet.errors import InputError
from monet.files import add_line, require_regular
from monet.models import Weights
from monet.run_folder.checkpoints import Candidate, find_candidates, generator_digest, read_candidate
from monet.run_folder.folder import RunFolder
from monet.scoring.evaluation import Evaluation
from monet.scoring.inception import Layer

logger = logging.getLogger(__name__)

_NUMBERS = ("fid", "mifid", "memorization_distance", "kid_mean")
_COUNTS = ("num_generated", "num_reference")
_LARGEST = 1e12
_TEXTS = ("checkpoint", "generator", "weights_used")


def keep_score(
    candidate: Candidate, weights: Weights, precision: Precision, basis: Mapping[str, Any], found: Evaluation
) -> None:
    """Adds a line to the scores of a checkpoint's run. A score that cannot be kept is a warning, and still a score.

    Args:
        candidate: the checkpoint.
        weights: which of its weights painted.
        precision: in which they did.
        basis: what scores must have in common to be compared, besides that and the JPEG quality.
        found: what it scored.
    """
    values = {
        "checkpoint": candidate.path.name,
        "epochs": round(candidate.epochs, 3),
        "pairs": candidate.pairs,
        "generator": candidate.digest,
        "weights_used": weights,
        "basis": {**basis, "precision": precision, "quality": candidate.config.generation.quality},
        **found.numbers(),
    }
    path = candidate.folder.scores
    try:
        add_line(path, json.dumps(values))
    except OSError as error:
        logger.warning("the score is not kept with its run: cannot write %s: %s", path, error.strerror or error)


def read_scores(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a `scores.jsonl`; damaged ones are left out, which is logged. There are none where there is
    no file.

    Raises:
        InputError: it cannot be read.
    """
    require_regular(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    scores = [values for line in lines if (values := _score(line))]
    if len(scores) < len(lines):
        logger.warning("%s has %d damaged lines of %d: left out", path, len(lines) - len(scores), len(lines))
    return scores


def last_score(folder: RunFolder, generator: nn.Module) -> dict[str, Any] | None:
    """Returns the last score of a generator in a run's folder; None where it has none that is whole.

    Raises:
        InputError: the scores cannot be read.
    """
    digest = generator_digest(generator)
    found = [values for values in read_scores(folder.scores) if values["generator"] == digest]
    whole = [values for values in found if _is_whole(values)]
    return whole[-1] if whole else None


def _is_whole(values: Mapping[str, Any]) -> bool:
    """Returns whether a line has all that a card shows, within bounds: a run's folder may be a stranger's."""
    numbers = [values.get(name) for name in _NUMBERS]
    counts = [values.get(name) for name in _COUNTS]
    return (
        all(type(number) in (int, float) and abs(number) < _LARGEST for number in numbers if number is not None)
        and None not in numbers
        and all(type(count) is int and 0 < count < _LARGEST for count in counts)
        and values.get("feature_layer") in get_args(Layer)
    )


def _score(line: str) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("basis"), dict):
        return None
    texts = all(isinstance(values.get(name), str) for name in _TEXTS)
    mifid = values.get("mifid")
    return values if texts and isinstance(mifid, int | float) and 0 <= mifid < math.inf else None


def best_candidate(folder: RunFolder, weights: Weights = "ema") -> Candidate:
    """Returns the checkpoint of a run with the lowest MiFID.

    Scores count for the generators that are there now, whatever their files are called; of each, its last score. They
    are compared where they were made in the same way (photos, references, network, precision): of several ways the one
    by which most checkpoints were scored, and of equal ones the last.

    Raises:
        InputError: none was scored.
    """
    candidates = {candidate.digest: candidate for candidate in find_candidates(folder.path, weights)}
    ways: dict[str, dict[str, float]] = {}
    for values in read_scores(folder.scores):
        if values["weights_used"] == weights and values["generator"] in candidates:
            way = json.dumps(values["basis"], sort_keys=True)
            scores = ways.pop(way, {})
            ways[way] = scores | {values["generator"]: values["mifid"]}  # the last one used stands last
    if not ways:
        raise InputError(
            f"no checkpoint of {folder.path} has a score: python -m pipelines.compare --run {folder.path} … gives them"
        )
    scores = max(reversed(ways.values()), key=len)
    best = candidates[min(scores, key=lambda digest: scores[digest])]
    logger.info(
        "%s has the lowest MiFID of %d that were scored, of %d checkpoints", best.path, len(scores), len(candidates)
    )
    return best


def named_checkpoint(name: str, folder: RunFolder) -> Candidate:
    """Returns a checkpoint of a run that a user names to paint with.

    Args:
        name: its file, with its folder or without; or `best` for the lowest MiFID.
        folder: of the run.

    Raises:
        InputError: there is no run yet, or the checkpoint belongs to another one.
    """
    if not folder.last.exists():
        raise InputError(f"--paint-with needs a run that was trained: {folder.path} holds none; name one with --run")
    if name == "best":
        return best_candidate(folder)
    if not name.strip():
        raise InputError("--paint-with names no checkpoint: give its file, such as last.pt, or best")
    path = Path(name)
    there = Path(os.path.realpath(path)).parent
    if path.parent != Path() and there != Path(os.path.realpath(folder.checkpoints)):
        raise InputError(
            f"{path} belongs to another run: paint with python -m pipelines.generate --checkpoint {path} …"
        )
    unheld = RunFolder(folder.path)  # the folder that this process holds cannot be sent to others
    return read_candidate(unheld, folder.checkpoints / path.name)
