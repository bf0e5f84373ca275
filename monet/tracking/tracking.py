"""The trackers of a run, all at once."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monet.clock import Clock
from monet.config import TrackerName
from monet.errors import Interrupted
from monet.tracking.clearml import open_clearml
from monet.tracking.process import TrackerProcess
from monet.tracking.tensorboard import open_tensorboard
from monet.tracking.tracker import Artifact, Ending, Message, Model, OpenTracker, Picture, RunInfo, Scalars, Summary
from monet.tracking.wandb import open_wandb
from monet.training.events import StepEvent

logger = logging.getLogger(__name__)

OPENERS: dict[TrackerName, OpenTracker] = {
    "clearml": open_clearml,
    "wandb": open_wandb,
    "tensorboard": open_tensorboard,
}
"""The function that starts each tracker."""
FOLDER = "tracking"
"""Where they write, in a run's folder."""
_EVERY = 1.0
"""Seconds between numbers; those of the steps between are averaged."""
_PATIENCE = {"completed": 20.0, "stopped": 5.0, "failed": 5.0}
"""Seconds that the end waits for the trackers."""


class Tracking:
    """Tells trackers what a run does. Without any it does nothing; whatever they do, no method waits or raises.

    Args:
        names: of the trackers.
        credentials: which of them have credentials for their server.
        clock: tells the time.
        patience: seconds that the end waits for them, by how the run ends.
    """

    def __init__(
        self,
        names: Sequence[TrackerName] = (),
        credentials: Mapping[str, bool] | None = None,
        clock: Clock = time.monotonic,
        patience: Mapping[Ending, float] | None = None,
    ) -> None:
        self._names = tuple(dict.fromkeys(names))
        self._credentials = credentials or {}
        self._clock = clock
        self._patience = patience or _PATIENCE
        self._processes: list[TrackerProcess] = []
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._steps = self._pairs = 0
        self._sent = -math.inf
        self._model_pairs = -1

    def begin(self, run: Path, settings: dict[str, Any], facts: dict[str, Any], pairs: int) -> None:
        """Starts the trackers.

        Args:
            run: the run's folder.
            settings: the resolved config, nested.
            facts: the machine and the software.
            pairs: pairs that were seen before this process.
        """
        for name in self._names:
            info = RunInfo(
                name=name,
                run=run.resolve().name,
                folder=run / FOLDER,
                settings=settings,
                facts=facts,
                pairs=pairs,
                online=self._credentials.get(name, False),
            )
            self._processes.append(TrackerProcess(OPENERS[name], info))

    def step(self, event: StepEvent) -> None:
        """A training step: its numbers go out about once a second, averaged over the steps since the last time."""
        if not self._processes:
            return
        for name, value in event.losses.items():
            self._sums[f"loss/{name}"] += value
        for name, value in (
            ("learning_rate", event.learning_rate),
            ("pairs_per_second", event.pairs_per_second),
            ("progress", event.progress),
        ):
            self._sums[name] += value
        self._steps, self._pairs = self._steps + 1, event.pairs
        if self._clock() - self._sent >= _EVERY:
            self._send_numbers()

    def picture(self, pairs: int, name: str, path: Path) -> None:
        """A picture file, which stays where it is."""
        self._send(Picture(pairs, name, path))

    def model(self, pairs: int, path: Path) -> None:
        """A checkpoint that is kept; a second one of the same pairs would be its copy."""
        if pairs != self._model_pairs:
            self._send(Model(pairs, path))
        self._model_pairs = pairs

    def artifacts(self, *paths: Path) -> None:
        """Files that came of the run; those that are not there are left out."""
        for path in paths:
            if path.exists():
                self._send(Artifact(path))

    def summary(self, values: Mapping[str, float]) -> None:
        """Numbers that hold for the run as a whole."""
        self._send(Summary(_finite(values)))

    @contextlib.contextmanager
    def until_the_end(self, left: Callable[[], float] = lambda: math.inf) -> Iterator[None]:
        """Ends the trackers when the block does, however it ends.

        Args:
            left: seconds that the process may still take.
        """
        ending: Ending = "failed"
        try:
            yield
            ending = "completed"
        except Interrupted:
            ending = "stopped"
            raise
        finally:
            self.end(ending, left())

    def end(self, ending: Ending, left: float = math.inf) -> None:
        """Lets the trackers end, all of them at the same time, and waits for that no longer than may be."""
        self._send_numbers()
        until = time.monotonic() + min(self._patience[ending], left - 1.0)
        for process in self._processes:
            process.finish(ending)
        try:
            for process in self._processes:
                process.wait(until - time.monotonic())
        except Interrupted:
            if ending != "completed":
                raise
            logger.info("no longer waiting for the trackers")  # and the run is whole: that is how it ends
        self._pass_on()
        self._processes.clear()

    def _send_numbers(self) -> None:
        if self._steps:
            means = {name: total / self._steps for name, total in self._sums.items()}
            self._send(Scalars(self._pairs, _finite(means)))
        self._sums.clear()
        self._steps, self._sent = 0, self._clock()

    def _send(self, message: Message) -> None:
        for process in self._processes:
            process.send(message)
        self._pass_on()

    def _pass_on(self) -> None:
        """Shows what the trackers have to say, from the thread that also draws the progress bars."""
        for process in self._processes:
            for line in process.said():
                logger.info("%s", line)


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Without what is no number, which ClearML would show as 0."""
    return {name: value for name, value in values.items() if math.isfinite(value)}
