"""Scoring as the last part of a submission: whether there is time for it, and why not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from monet.clock import Clock, Deadline, format_duration
from monet.scoring.evaluation import Evaluation
from monet.workflow.evaluate import Scorer
from monet.workflow.side_products import described

logger = logging.getLogger(__name__)

SHARE = 0.1
"""Of the budget, that scoring may take without being asked for."""


class Scoring:
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
        """Seconds that scoring so many images takes now; 0 where nothing is scored. A measurement that fails, as where
        training has taken the memory, leaves the last one."""
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
