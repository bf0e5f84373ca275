"""`scores.jsonl`: what the checkpoints of a run scored, a line each time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monet.errors import InputError, MonetError
from monet.scoring.evaluation import Evaluation
from monet.workflow.candidates import Candidate, Weights, read_candidate
from monet.workflow.run_folder import RunFolder

_NEEDED = {"checkpoint", "generator", "weights_used", "basis", "mifid"}


def score_values(candidate: Candidate, weights: Weights, basis: Mapping[str, Any], found: Evaluation) -> dict[str, Any]:
    """A line.

    Args:
        candidate: the checkpoint.
        weights: which of its weights painted.
        basis: what scores must have in common to be compared.
        found: what it scored.
    """
    return {
        "checkpoint": candidate.path.name,
        "epochs": round(candidate.epochs, 3),
        "pairs": candidate.pairs,
        "generator": candidate.digest,
        "weights_used": weights,
        "basis": dict(basis),
        **found.numbers(),
    }


def identity_of(photos: Sequence[Path]) -> str:
    """A digest by which sets of photos are told apart: of their names and sizes, in order."""
    lines = [f"{photo.name} {photo.stat().st_size}" for photo in photos]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def add_score(path: Path, values: dict[str, Any]) -> None:
    """Adds a line.

    Raises:
        MonetError: the file cannot be written.
    """
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
    except OSError as error:
        raise MonetError(f"cannot write {path}: {error.strerror or error}") from error


def read_scores(path: Path) -> list[dict[str, Any]]:
    """The lines of a `scores.jsonl`; torn ones are left out, and there are none where there is no file."""
    if not path.exists():
        return []
    scores = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(values, dict) and values.keys() >= _NEEDED:
            scores.append(values)
    return scores


def best_candidate(folder: RunFolder, weights: Weights = "ema") -> Candidate:
    """The checkpoint of a run with the lowest MiFID, among those that can be compared with the last one scored: of the
    same photos and references, in the same way.

    Raises:
        InputError: none was scored, or the best one is gone or has changed since.
    """
    scores = [values for values in read_scores(folder.scores) if values["weights_used"] == weights]
    compare = f"python -m pipelines.compare --run {folder.path} … finds the best one"
    if not scores:
        raise InputError(f"no checkpoint of {folder.path} has a score: {compare}")
    alike = [values for values in scores if values["basis"] == scores[-1]["basis"]]
    best = min(alike, key=lambda values: values["mifid"])
    path = folder.checkpoints / best["checkpoint"]
    if not path.exists():
        raise InputError(f"{path}, the best one, is gone: {compare}")
    candidate = read_candidate(folder, path, weights)
    if candidate.digest != best["generator"]:
        raise InputError(f"{path}, the best one, has changed since it was scored: {compare}")
    return candidate
