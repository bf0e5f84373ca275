"""Scoring as the last part of a submission: whether there is time for it, and why not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from monet.clock import Clock, Deadline, format_duration
from monet.context import Context
from monet.data.layout import Layout
from monet.device import choose_device
from monet.errors import InputError
from monet.scoring.evaluation import Evaluation
from monet.scoring.options import ScoreOptions
from monet.scoring.scorer import Scorer
from monet.scoring.weights import FILE_NAME, NoWeights
from monet.side_products import described

logger = logging.getLogger(__name__)

SHARE = 0.1
"""Of the budget, that scoring may take without being asked for."""


class SubmissionScoring:
    """Scores the archive where that is wanted and possible; a score that cannot be had is no failure.

    Args:
        scorer: None where nothing is scored.
        why_not: the reason for that.
        always: score even if it takes more than a tenth of the budget.
    """

    def __init__(self, scorer: Scorer | None, why_not: str = "", *, always: bool = False) -> None:
        self.scorer = scorer
        self.why_not = why_not
        self._always = always
        self._expected = 0.0

    def prepare(self, images: int, deadline: Deadline | None, clock: Clock) -> None:
        """Decides whether there is time to score so many images, and reads the reference."""
        if self.scorer is None:
            logger.info("not going to score: %s", self.why_not)
            return
        if images < 2:
            self._give_up(f"{images} image: a score needs at least two")
            return
        try:
            if self._fits(self.scorer.extraction_seconds, images, deadline, clock):  # before the reference is read
                self.scorer.prepare()
                self._fits(self.scorer.seconds, images, deadline, clock)
        except Exception as error:  # noqa: BLE001
            self._give_up(described(error))

    def measure(self, images: int, clock: Clock) -> float:
        """Returns the seconds that scoring so many images takes now; 0 where nothing is scored. A measurement that
        fails, as where training has taken the memory, leaves the last one."""
        if self.scorer is not None:
            try:
                self._expected = self.scorer.seconds(images, clock)
            except Exception as error:  # noqa: BLE001
                logger.warning("how long scoring takes cannot be measured now: %s", described(error))
        return self._expected

    def score(self, archive: Path, deadline: Deadline | None) -> Evaluation | None:
        """Scores the archive, unless the time is up."""
        if self.scorer is None:
            return None
        if deadline and deadline.remaining() < self._expected:
            left = format_duration(deadline.remaining())
            self._give_up(f"{left} are left, and it takes about {format_duration(self._expected)}")
            return None
        logger.info("scoring")
        try:
            return self.scorer.evaluate(archive)
        except Exception as error:  # noqa: BLE001
            self._give_up(described(error))
            return None

    def _fits(
        self, measure: Callable[[int, Clock], float], images: int, deadline: Deadline | None, clock: Clock
    ) -> bool:
        if self._always or deadline is None:
            return True
        takes = measure(images, clock)
        if takes <= SHARE * deadline.budget:
            return True
        self._give_up(
            f"it would take about {format_duration(takes)}, over a tenth of the budget; --score yes takes that time "
            "from the training, and python -m pipelines.evaluate scores the archive at any time"
        )
        return False

    def _give_up(self, reason: str) -> None:
        self.scorer, self.why_not, self._expected = None, reason, 0.0
        logger.warning("not scored: %s", reason)


def submission_scoring(
    wanted: Literal["auto", "yes", "no"], options: ScoreOptions, layout: Layout, device: str, context: Context
) -> SubmissionScoring:
    """Returns how an archive is scored. Released weights that cannot be had are no failure; a named file must do.

    Args:
        wanted: `yes` in any case, downloading the weights; `auto` where they are at hand and the time is little.
        options: of the score.
        layout: the data; its paintings are the reference.
        device: setting of the device where Inception runs.
        context: of the run.

    Raises:
        InputError: the weights that are named, or the training paintings, cannot be used.
    """
    if wanted not in ("auto", "yes", "no"):
        raise InputError(f"score is {wanted!r}: give auto, yes or no")
    if wanted == "no":
        return SubmissionScoring(None, "not asked for (--score no)")
    try:
        weights = options.find_weights(context.weights_folder, download=wanted == "yes")
    except NoWeights as error:
        return SubmissionScoring(None, str(error))
    if weights is None:
        return SubmissionScoring(
            None,
            f"no Inception weights at hand: --score yes downloads them (96 MB), or name a copy of {FILE_NAME} with "
            "--inception-weights",
        )
    scorer = options.scorer(layout.paintings[0].parent, context, device=choose_device(device), weights=weights)
    return SubmissionScoring(scorer, always=wanted == "yes")
