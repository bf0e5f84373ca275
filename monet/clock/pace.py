"""How fast training steps are."""

from __future__ import annotations

import statistics
from collections import deque

from monet.clock.policy import DEFAULT_POLICY, Policy


class Pace:
    """Measures how many seconds a training step takes now.

    Steps are gathered into windows of some seconds, so that a device that works asynchronously, or one slow step, does
    not look like a slow machine. The first window holds the warm-up and is left out.

    Args:
        policy: the length and number of the windows.
    """

    def __init__(self, policy: Policy = DEFAULT_POLICY) -> None:
        self._policy = policy
        self._warm = False
        self._steps, self._seconds = 0, 0.0
        self._windows: deque[tuple[float, float]] = deque(maxlen=policy.windows_kept)
        self._latest: deque[float] = deque(maxlen=policy.latest_steps)
        self.seconds_per_step: float | None = None
        """The median of the windows of the last ten seconds, and of two at least; None until three of them are full."""

    def record(self, seconds: float) -> None:
        """Adds the duration of one step."""
        self._latest.append(seconds)
        self._steps += 1
        self._seconds += seconds
        if self._seconds >= self._policy.window_seconds:
            if self._warm:
                self._windows.append((self._seconds / self._steps, self._seconds))
                self.seconds_per_step = self._median()
            self._warm = True
            self._steps, self._seconds = 0, 0.0

    def restart(self) -> None:
        """Forgets the windows so far, but not that the warm-up is over."""
        self._steps, self._seconds = 0, 0.0
        self._windows.clear()
        self.seconds_per_step = None

    @property
    def next_step(self) -> float:
        """Seconds that the next step may take: the longest of the last few, but for one that may have been a stall."""
        if len(self._latest) < self._policy.stall_steps:
            return max(self._latest, default=0.0)
        return sorted(self._latest)[-2]

    def _median(self) -> float | None:
        if len(self._windows) < self._policy.windows_required:
            return None
        means: list[float] = []
        covered = 0.0
        for mean, seconds in reversed(self._windows):
            if len(means) >= self._policy.median_windows and covered >= self._policy.median_seconds:
                break
            means.append(mean)
            covered += seconds
        return statistics.median(means)
