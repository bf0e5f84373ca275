"""The result of a comparison in words and as JSON."""

from __future__ import annotations

from typing import Any

from monet.ranking.compare import Comparison, RankedCheckpoint
from monet.reporting.report import figure, span


def verdict(comparison: Comparison) -> list[str]:
    """Returns which checkpoint to submit, and why: a sentence or two a line."""
    leader = comparison.leader
    mifid = leader.evaluation.mifid.interval()
    others = comparison.ranked[1:]
    best = f"MiFID {figure(mifid.value)} (95 %: {span(mifid)})"
    lines = [f"submit {leader.name}: {best}" + (f", the lowest of {len(others) + 1}" if others else "")]
    if others:
        lines.append(_rivals(others))
    lines += _doubts(comparison)
    for repeats in comparison.repeats:
        seeds = ", ".join(map(str, repeats.seeds))
        left_out = f"; {repeats.unfinished} unfinished left out" if repeats.unfinished else ""
        lines.append(
            f"{len(repeats.seeds)} runs of one recipe (seeds {seeds}), each by its last checkpoint: MiFID "
            f"{figure(repeats.mean)} ± {figure(repeats.deviation)} (mean ± SD{left_out})"
        )
    if len(comparison.photos) < comparison.found:
        lines.append(
            f"a sample of {len(comparison.photos):,} of {comparison.found:,} photos: with fewer photos every FID comes "
            "out higher, so compare these scores with each other alone"
        )
    return lines


def _rivals(others: tuple[RankedCheckpoint, ...]) -> str:
    tied = [checkpoint for checkpoint in others if checkpoint.tied]
    if not tied:
        following = others[0]
        return (
            f"no other is tied with it; {following.name} follows, behind by {figure(following.behind.value)} "
            f"({span(following.behind)})"
        )
    named = ", ".join(f"{checkpoint.name} (behind by {span(checkpoint.behind)})" for checkpoint in tied)
    return f"tied with it, because these photos cannot tell them apart: {named}; choose between them by eye"


def _doubts(comparison: Comparison) -> list[str]:
    leader, unpainted = comparison.leader, comparison.unpainted
    lines = []
    gain = unpainted.behind
    if gain.low <= 0:
        lines.append(f"even the best one does not clearly beat the unpainted photos (they are behind by {span(gain)})")
    if leader.evaluation.memorized:
        score = leader.evaluation.score
        lines.append(
            f"its memorization distance, {figure(score.memorization_distance)}, is below {score.epsilon:g}, so that "
            "its FID is divided by it: look at the images beside the paintings that they come closest to"
        )
    return lines


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Returns all of it, for other programs."""
    assert comparison.leader.candidate
    return {
        "recommended": str(comparison.leader.candidate.path),
        "verdict": verdict(comparison),
        "num_photos": len(comparison.photos),
        "sampled_from": comparison.found,
        "weights_used": comparison.weights,
        "checkpoints": [_numbers(checkpoint) for checkpoint in comparison.ranked],
        "unpainted": _numbers(comparison.unpainted),
        "repeats": [
            {"checkpoints": list(repeats.names), "seeds": list(repeats.seeds)}
            | {"mifid_mean": repeats.mean, "mifid_sd": repeats.deviation}
            for repeats in comparison.repeats
        ],
    }


def _numbers(checkpoint: RankedCheckpoint) -> dict[str, Any]:
    candidate = checkpoint.candidate
    origin = (
        {"checkpoint": str(candidate.path), "epochs": candidate.epochs, "pairs": candidate.pairs} if candidate else {}
    )
    return {
        **origin,
        **checkpoint.evaluation.numbers(),
        "behind": checkpoint.behind.value,
        "behind_low": checkpoint.behind.low,
        "behind_high": checkpoint.behind.high,
        "tied": checkpoint.tied,
        "painting_seconds": checkpoint.painting_seconds,
        "scoring_seconds": checkpoint.scoring_seconds,
    }
