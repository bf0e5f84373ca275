"""Progress bars on stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from monet.clock import format_duration
from monet.display import Display
from pipelines._command import AT_END

_SHARE = "{desc} {percentage:3.0f}%|{bar}| "


class Bars(Display):
    """One bar a stage. Where stderr is not a terminal, a line at most every half minute."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._note = ""
        self._open = contextlib.ExitStack()
        AT_END.append(lambda: self.end(done=False))

    def begin(self, stage: str, total: int, unit: str) -> None:
        """Opens a bar; log lines are written above it."""
        self.end(done=False)  # of a stage that was broken off
        interactive = sys.stderr.isatty()
        counting = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}]"
        self._bar = tqdm(
            desc=f"{stage:<8}",
            total=total,
            unit=f" {unit}" if unit == "progress" else unit,
            bar_format=_SHARE if unit == "progress" else counting,
            mininterval=0.2 if interactive else 30.0,
            miniters=0,  # left to tqdm, it would be as far as a resumed run moves at first
            dynamic_ncols=interactive,
            ncols=None if interactive else 120,
        )
        self._open.callback(self._bar.close)
        self._open.enter_context(logging_redirect_tqdm([logging.getLogger("monet")]))

    def advance(self, count: int = 1) -> None:
        """Moves the bar."""
        self._bar.update(count)

    def update(self, done: float, note: str, seconds_left: float) -> None:
        """Moves the bar to a share of its stage, with figures and the time left beside it."""
        self._note = note
        self._bar.bar_format = f"{_SHARE}{note}, {format_duration(seconds_left)} left"
        self._bar.update(max(0.0, done - self._bar.n))

    def end(self, done: bool = True) -> None:
        """Closes the bar; a share that is done is filled."""
        if self._bar is None:
            return
        if done and self._note:
            self._bar.bar_format = _SHARE + self._note
            self._bar.update(self._bar.total - self._bar.n)
        self._open.close()
        self._bar, self._note = None, ""
