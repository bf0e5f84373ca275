from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monet.config import Config
from monet.ranking.compare import Comparison, RankedCheckpoint, Repeats
from monet.ranking.verdict import verdict
from monet.run_folder.checkpoints import Candidate
from monet.run_folder.folder import RunFolder
from monet.scoring.bootstrap import Interval, Resampled
from monet.scoring.evaluation import Evaluation
from monet.scoring.score import Score


def ranked(name: str | None, mifid: float, behind: Interval, distance: float = 0.3) -> RankedCheckpoint:
    draws = np.linspace(mifid - 1, mifid + 1, 41)
    candidate = Candidate(
        run="first",
        folder=RunFolder(Path("first")),
        path=Path(f"first/checkpoints/{name}"),
        config=Config(),
        pairs=8,
        epochs=1.0,
        seconds=1.0,
        decay_finished=True,
        data=(10, 5),
        digest=str(name),
    )
    score = Score(
        fid=mifid,
        mifid=mifid,
        memorization_distance=distance,
        kid_mean=0.1,
        kid_std=0.01,
        kid_subset_size=2,
        num_generated=10,
        num_reference=5,
        epsilon=0.1,
    )
    return RankedCheckpoint(
        candidate=candidate if name else None,
        evaluation=Evaluation(
            score=score,
            fid=Resampled(mifid, draws),
            mifid=Resampled(mifid, draws),
            closest=(),
            feature_layer="2048",
            weights="w",
            weights_sha256="0",
            weights_known=True,
        ),
        painting_seconds=1.0,
        scoring_seconds=1.0,
        shown=(),
        closest=(),
        behind=behind,
    )


BEST = ranked("epoch-0002.pt", 40.0, Interval(0, 0, 0))
CLOSE = ranked("epoch-0003.pt", 40.4, Interval(0.4, -0.2, 1.0))
CLEARLY_WORSE = Interval(20, 18, 22)
FAR = ranked("epoch-0001.pt", 45.0, Interval(5.0, 4.0, 6.0))


def comparison(*checkpoints: RankedCheckpoint, unpainted: Interval = CLEARLY_WORSE) -> Comparison:
    photos = tuple(Path(f"{index}.jpg") for index in range(10))
    return Comparison(
        ranked=checkpoints,
        unpainted=ranked(None, 60.0, unpainted),
        repeats=(),
        photos=photos,
        shown=photos[:2],
        found=10,
        weights="ema",
    )


def test_the_lowest_is_to_be_submitted_and_ties_are_named() -> None:
    assert verdict(comparison(BEST, CLOSE, FAR)) == [
        "submit first/epoch-0002.pt: MiFID 40.00 (95 %: 39.05 to 40.95), the lowest of 3",
        "tied with it, because these photos cannot tell them apart: first/epoch-0003.pt (behind by −0.2000 to 1.000); "
        "choose between them by eye",
    ]


def test_without_a_tie_the_next_one_is_named() -> None:
    assert verdict(comparison(BEST, FAR))[1] == (
        "no other is tied with it; first/epoch-0001.pt follows, behind by 5.000 (4.000 to 6.000)"
    )


def test_a_single_checkpoint_is_compared_with_the_photos_alone() -> None:
    assert verdict(comparison(BEST)) == ["submit first/epoch-0002.pt: MiFID 40.00 (95 %: 39.05 to 40.95)"]


@pytest.mark.parametrize("unpainted", [Interval(0.5, -1, 2), Interval(-5, -6, -4)])
def test_a_checkpoint_that_does_not_beat_the_photos_is_doubted(unpainted: Interval) -> None:
    lines = verdict(comparison(BEST, FAR, unpainted=unpainted))
    assert lines[2].startswith("even the best one does not clearly beat the unpainted photos")


def test_memorization_is_pointed_out() -> None:
    memorizing = ranked("epoch-0002.pt", 40.0, Interval(0, 0, 0), distance=0.08)
    assert (
        "its memorization distance, 0.08000, is below 0.1, so that its FID is divided"
        in verdict(comparison(memorizing))[1]
    )


def test_repeats_and_samples_are_mentioned() -> None:
    repeats = Repeats(names=("a/last.pt", "b/last.pt"), seeds=(0, 1), unfinished=1, mean=41.25, deviation=1.9)
    lines = verdict(replace(comparison(BEST), repeats=(repeats,), found=7038))
    assert lines[1] == (
        "2 runs of one recipe (seeds 0, 1), each by its last checkpoint: MiFID 41.25 ± 1.900 (mean ± SD; 1 unfinished "
        "left out)"
    )
    assert lines[2].startswith("a sample of 10 of 7,038 photos: with fewer photos every FID comes out higher")
