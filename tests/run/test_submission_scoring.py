"""When a submission is scored, when not, and what is said then."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from monet.clock import Deadline
from monet.errors import InputError
from monet.run.submission_scoring import SubmissionScoring
from monet.scoring.cache import FeatureCache
from monet.scoring.inception import FeatureExtractor
from monet.scoring.scorer import Scorer
from tests.conftest import FakeClock


class FakeScorer:
    """Takes a second for every image."""

    def __init__(self, bad_reference: str = "", bad_archive: str = "") -> None:
        self.bad_reference, self.bad_archive = bad_reference, bad_archive
        self.scored: list[Path] = []

    def extraction_seconds(self, images: int, clock: FakeClock) -> float:
        return float(images)

    seconds = extraction_seconds

    def prepare(self) -> None:
        if self.bad_reference:
            raise InputError(self.bad_reference)

    def evaluate(self, generated: Path) -> str:
        if self.bad_archive:
            raise InputError(self.bad_archive)
        self.scored.append(generated)
        return "score"


def scoring(scorer: FakeScorer, *, always: bool = False) -> SubmissionScoring:
    return SubmissionScoring(cast(Scorer, scorer), always=always)


@pytest.mark.parametrize(("budget", "always", "scored"), [(1000, False, True), (999, False, False), (999, True, True)])
def test_it_may_take_a_tenth_of_the_budget_unless_it_was_asked_for(
    clock: FakeClock, budget: float, always: bool, scored: bool
) -> None:
    scorer = FakeScorer()
    stage, deadline = scoring(scorer, always=always), Deadline(clock, clock.now, budget)
    stage.prepare(100, deadline, clock)
    assert (stage.measure(100, clock) == 100) == scored
    assert (stage.score(Path("images.zip"), deadline) is not None) == scored
    assert scorer.scored == [Path("images.zip")] * scored
    if not scored:
        assert "it would take about 1m40s, over a tenth of the budget; --score yes" in stage.why_not


def test_without_a_deadline_there_is_always_time(clock: FakeClock) -> None:
    stage = scoring(FakeScorer())
    stage.prepare(100_000, None, clock)
    assert stage.score(Path("images.zip"), None) is not None


def test_it_does_not_begin_when_the_time_is_up(clock: FakeClock) -> None:
    stage, deadline = scoring(FakeScorer()), Deadline(clock, clock.now, 1000)
    stage.prepare(100, deadline, clock)
    stage.measure(100, clock)
    clock.advance(950)
    assert stage.score(Path("images.zip"), deadline) is None
    assert stage.why_not == "50s are left, and it takes about 1m40s"


@pytest.mark.parametrize(
    ("scorer", "images", "reason"),
    [
        (FakeScorer(bad_reference="images of different sizes"), 9, "images of different sizes"),
        (FakeScorer(bad_archive="cannot be decoded"), 9, "cannot be decoded"),
        (FakeScorer(), 1, "1 image: a score needs at least two"),
    ],
)
@pytest.mark.parametrize("budget", [None, 1000.0])
def test_what_cannot_be_scored_is_no_failure(
    clock: FakeClock, scorer: FakeScorer, images: int, reason: str, budget: float | None
) -> None:
    stage, deadline = scoring(scorer), budget and Deadline(clock, clock.now, budget)
    stage.prepare(images, deadline or None, clock)
    assert (stage.score(Path("images.zip"), deadline or None), stage.why_not) == (None, reason)


class QueuedExtractor:
    """The network on a device that starts slowly, and has training steps to finish first."""

    device = torch.device("cpu")

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.queued, self.warm = 0.9, False

    def finish(self, _: torch.device) -> None:
        self.clock.advance(self.queued)
        self.queued = 0.0

    def features(self, batches: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        images = sum(map(len, batches))
        self.clock.advance(0.01 * images if self.warm else 1.5)
        self.warm, self.queued = True, self.queued + 0.05 * images
        return np.zeros((images, 4), np.float32)


def test_the_time_for_scoring_is_measured_without_a_cold_start_and_what_is_queued(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extractor = QueuedExtractor(clock)
    monkeypatch.setattr("monet.scoring.scorer.synchronize", extractor.finish)
    scorer = Scorer(
        cast(FeatureExtractor, extractor), reference=tmp_path, cache=FeatureCache(tmp_path / "cache"), workers=1
    )
    assert scorer.extraction_seconds(1000, clock) == pytest.approx(60)
