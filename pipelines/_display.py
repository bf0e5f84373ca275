"""Progress bars on stderr."""

from __future__ import annotations

import logging
import sys
from typing import Any

from tqdm import tqdm

from monet.clock import format_duration
from monet.training.events import StepEvent
from monet.workflow.display import Display
from pipelines._command import AT_END

_TRAINING = "{desc} {percentage:3.0f}%|{bar}| "


class Bars(Display):
    """One bar a stage. Where stderr is not a terminal, a line at most every half minute."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._told = ""
        AT_END.append(lambda: self.end(done=False))
        for handler in logging.getLogger("monet").handlers:
            handler.emit = self._write_above  # type: ignore[method-assign]

    def begin(self, stage: str, total: int, unit: str) -> None:
        """Opens a bar."""
        interactive = sys.stderr.isatty()
        counting = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}]"
        self._bar = tqdm(
            desc=f"{stage:<8}",
            total=total,
            unit=f" {unit}" if unit == "progress" else unit,
            bar_format=_TRAINING if unit == "progress" else counting,
            mininterval=0.2 if interactive else 30.0,
            dynamic_ncols=interactive,
            ncols=None if interactive else 120,
        )

    def advance(self, count: int = 1) -> None:
        """Moves the bar."""
        self._bar.update(count)

    def step(self, event: StepEvent) -> None:
        """Moves the training bar to the present progress, with speed, losses, learning rate and time left."""
        discriminators = event.losses["discriminator_a"] + event.losses["discriminator_b"]
        self._told = (
            f"{event.pairs:,} pairs, {event.pairs_per_second:.3g} pairs/s, G {event.losses['generator']:.2f} "
            f"D {discriminators:.3f}, lr {event.learning_rate:.1e}"
        )
        self._bar.bar_format = f"{_TRAINING}{self._told}, {format_duration(event.time_left)} left"
        self._bar.update(max(0.0, event.progress - self._bar.n))

    def end(self, done: bool = True) -> None:
        """Closes the bar; a training that is done fills it."""
        if self._bar is None:
            return
        if done and self._told:
            self._bar.bar_format = _TRAINING + self._told
            self._bar.update(self._bar.total - self._bar.n)
        self._bar.close()
        self._bar, self._told = None, ""

    def _write_above(self, record: logging.LogRecord) -> None:
        tqdm.write(record.getMessage(), file=sys.stderr)
