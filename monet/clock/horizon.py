"""Where the learning-rate decay of a run ends."""

from __future__ import annotations

from dataclasses import dataclass

from monet.clock.policy import DEFAULT_POLICY, Policy


@dataclass(frozen=True)
class Horizon:
    """Where the learning-rate decay ends: at the first of its terms to be reached. At least one of them is set."""

    pairs: int | None = None
    """Pairs of the whole run, over all its processes."""
    seconds: float | None = None
    """Training time of the whole run, over all its processes."""

    def progress(self, pairs: int, seconds: float, policy: Policy = DEFAULT_POLICY) -> float:
        """Returns the share of the horizon that is done: the larger one of its terms, from 0 to 1."""
        shares = [0.0]
        if self.pairs is not None:
            shares.append(pairs / self.pairs)
        if self.seconds is not None:
            shares.append(seconds / self.seconds if self.seconds > 0 else 1.0)
        return max(shares) if max(shares) < 1.0 - policy.horizon_tolerance else 1.0
