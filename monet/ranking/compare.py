"""Which checkpoint to submit: each paints the same photos, is scored, and takes its rank with its uncertainty."""

from __future__ import annotations

import logging
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monet.clock import Clock, format_duration
from monet.config import GenerationConfig, to_dict
from monet.data.stream import Purpose, permutation
from monet.device import Precision, suitable_precision
from monet.display import Display
from monet.errors import InputError
from monet.generation.painter import make_painter
from monet.models import Weights, generator_from_checkpoint
from monet.reporting.exhibits import choose_shown, closest_pictures, painted
from monet.reporting.report import ClosestPainting
from monet.run_folder.checkpoints import Candidate, candidate_of
from monet.scoring.bootstrap import Interval
from monet.scoring.evaluation import Evaluation
from monet.scoring.scorer import Scorer
from monet.training.stored import load_checkpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ScoredCheckpoint:
    """A checkpoint that has painted and been scored, or the photos as they are."""

    candidate: Candidate | None
    """The checkpoint; None for the photos themselves."""
    evaluation: Evaluation
    """Its score."""
    painting_seconds: float
    """Time to paint."""
    scoring_seconds: float
    """Time to score."""
    shown: tuple[bytes, ...]
    """JPEG files: the photos that are shown, painted."""
    closest: tuple[ClosestPainting, ...]
    """The closest of all to a training painting."""

    @property
    def name(self) -> str:
        """As it is called in tables."""
        return self.candidate.name if self.candidate else "the photos, unpainted"


@dataclass(frozen=True, kw_only=True)
class RankedCheckpoint(ScoredCheckpoint):
    """A scored checkpoint beside the best one."""

    behind: Interval
    """MiFID less the best one's, from the same resamplings."""

    @classmethod
    def of(cls, scored: ScoredCheckpoint, leader: ScoredCheckpoint) -> RankedCheckpoint:
        """Compares a scored checkpoint with the best one."""
        return cls(**vars(scored), behind=(scored.evaluation.mifid - leader.evaluation.mifid).interval())

    @property
    def tied(self) -> bool:
        """It cannot be told from the leader."""
        return self.behind.holds_zero


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Finished runs of one recipe on the same data that differ in nothing but the seed, by their last checkpoints."""

    names: tuple[str, ...]
    seeds: tuple[int, ...]
    unfinished: int
    """Runs of this recipe that are left out, because their learning rate had not decayed."""
    mean: float
    """Of MiFID."""
    deviation: float
    """Standard deviation over the runs, over N − 1."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Result of a comparison."""

    ranked: tuple[RankedCheckpoint, ...]
    """The best first."""
    unpainted: RankedCheckpoint
    """The photos as they are: what every checkpoint should beat."""
    repeats: tuple[Repeats, ...]
    """Recipes with several runs."""
    photos: tuple[Path, ...]
    """Photos that were painted."""
    shown: tuple[Path, ...]
    """Those that are shown."""
    found: int
    """Photos in the folder."""
    weights: Weights
    """Which weights painted."""

    @property
    def leader(self) -> RankedCheckpoint:
        """The checkpoint to submit."""
        return self.ranked[0]


def choose_photos(photos: Sequence[Path], sample: int | None, seed: int) -> tuple[Path, ...]:
    """Returns all photos, or a random choice of them, in their order.

    Raises:
        InputError: the sample is smaller than two, or larger than what is there, or the seed is out of range.
    """
    if not 0 <= seed < 2**63:
        raise InputError(f"--seed is {seed}: give 0 to {2**63 - 1}")
    if sample is None:
        return tuple(photos)
    if not 2 <= sample <= len(photos):
        raise InputError(f"a sample of {sample} photos: give 2 to {len(photos)}, which is all there are")
    chosen = permutation(seed, Purpose.COMPARISON, 0, len(photos))[:sample]
    return tuple(photos[index] for index in sorted(chosen))


def compare(
    candidates: Sequence[Candidate],
    photos: Sequence[Path],
    scorer: Scorer,
    *,
    found: int,
    weights: Weights = "ema",
    device: torch.device,
    clock: Clock,
    display: Display | None = None,
    on_scored: Callable[[Candidate, Precision, Evaluation], None] = lambda *_: None,
) -> Comparison:
    """Paints the photos with every checkpoint, scores and ranks them.

    Args:
        candidates: checkpoints.
        photos: all of them readable.
        scorer: against the reference.
        found: number of photos in the folder.
        weights: averaged where a run has them, or raw.
        device: where the generators run.
        clock: tells the time.
        display: shows progress.
        on_scored: called after each checkpoint, with the precision in which it painted: that of the run, as `submit`
            has it.

    Raises:
        InputError: an image, or every checkpoint, cannot be read.
        MonetError: no room for an archive.
    """
    scorer.prepare()
    bench = _Bench(tuple(photos), scorer, clock, display or Display(), device)
    logger.info("%d photos as they are, to compare with", len(photos))
    unpainted = bench.score(None, nn.Identity(), "fp32", GenerationConfig())
    scored: list[ScoredCheckpoint] = []
    for number, listed in enumerate(candidates, 1):
        logger.info("%d of %d: %s", number, len(candidates), listed.name)
        try:
            contents = load_checkpoint(listed.path)
        except InputError as error:  # it was whole when this began
            logger.warning("left out: %s", error)
            continue
        candidate = candidate_of(listed.folder, listed.path, contents, weights, listed.run)  # it may have changed
        precision = suitable_precision(contents["precision"], device, clock)
        generator = generator_from_checkpoint(contents, weights=weights)
        result = bench.score(candidate, generator, precision, candidate.config.generation)
        scored.append(result)
        on_scored(candidate, precision, result.evaluation)
        if left := len(candidates) - number:
            each = result.painting_seconds + result.scoring_seconds
            logger.info("about %s to go", format_duration(left * each))
    if not scored:
        raise InputError("no checkpoint is left to compare")
    leader = min(scored, key=lambda one: one.evaluation.score.mifid)
    ranked = sorted((RankedCheckpoint.of(one, leader) for one in scored), key=lambda one: one.behind.value)
    return Comparison(
        ranked=tuple(ranked),
        unpainted=RankedCheckpoint.of(unpainted, leader),
        repeats=_repeats(scored),
        photos=bench.photos,
        shown=bench.shown,
        found=found,
        weights=weights,
    )


class _Bench:
    """Paints and scores the same photos with one checkpoint after the other."""

    def __init__(
        self,
        photos: tuple[Path, ...],
        scorer: Scorer,
        clock: Clock,
        display: Display,
        device: torch.device,
    ) -> None:
        self.photos, self.shown = photos, choose_shown(photos)
        self._scorer, self._clock, self._display, self._device = scorer, clock, display, device

    def score(
        self, candidate: Candidate | None, generator: nn.Module, precision: Precision, settings: GenerationConfig
    ) -> ScoredCheckpoint:
        painter = make_painter(generator, settings, device=self._device, precision=precision)
        with tempfile.TemporaryDirectory(prefix="monet-") as folder:
            archive = Path(folder) / "images.zip"
            begun = self._clock()
            self._display.begin("painting", len(self.photos), "photos")
            painter.paint_archive(self.photos, archive, self._display.advance)
            self._display.end()
            between = self._clock()
            evaluation = self._scorer.evaluate(archive)
            return ScoredCheckpoint(
                candidate=candidate,
                evaluation=evaluation,
                painting_seconds=between - begun,
                scoring_seconds=self._clock() - between,
                shown=tuple(painted(archive, self.photos, self.shown)),
                closest=closest_pictures(archive, self.photos, evaluation, self._scorer.paintings),
            )


def _repeats(scored: Sequence[ScoredCheckpoint]) -> tuple[Repeats, ...]:
    """Groups the last checkpoints of the runs by all that they learned from, but for the seed."""
    last = {found.candidate.run: found for found in scored if found.candidate}  # the one with the most pairs stays
    groups: dict[str, list[tuple[Candidate, float]]] = {}
    for found in last.values():
        assert found.candidate
        groups.setdefault(_recipe(found.candidate), []).append((found.candidate, found.evaluation.score.mifid))
    repeats = []
    for group in groups.values():
        finished = [(candidate, mifid) for candidate, mifid in group if candidate.decay_finished]
        scores = [mifid for _, mifid in finished]
        if len({candidate.digest for candidate, _ in finished}) == len(finished) > 1:
            repeats.append(
                Repeats(
                    names=tuple(candidate.name for candidate, _ in finished),
                    seeds=tuple(candidate.config.training.seed for candidate, _ in finished),
                    unfinished=len(group) - len(finished),
                    mean=statistics.mean(scores),
                    deviation=statistics.stdev(scores),
                )
            )
    return tuple(repeats)


def _recipe(candidate: Candidate) -> str:
    """Returns the settings and the data that make a difference to what is learned, less the seed."""
    values: dict[str, Any] = to_dict(candidate.config)
    for name in ("seed", "device", "save_every", "compile", "workers", "accumulation", "activation_checkpointing"):
        del values["training"][name]
    del values["generation"], values["tracking"]
    return repr((values, candidate.data))
