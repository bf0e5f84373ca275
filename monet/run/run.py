"""A run that is ready to begin or to resume."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from monet.clock import Deadline
from monet.config import Config
from monet.data.layout import Layout
from monet.run.resume import GivenSettings
from monet.run_folder.folder import RunFolder
from monet.tracking.tracking import Tracking


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that is ready to begin or to resume: its settings, data and folder."""

    config: Config
    """The settings; those of the checkpoint where the run is resumed."""
    given: GivenSettings
    """Those of them that the request gives."""
    layout: Layout
    """The images."""
    folder: RunFolder
    """Where the run is kept."""
    resumed_from: dict[str, Any] | None
    """Contents of the checkpoint that the run is resumed from."""
    deadline: Deadline | None
    """When this process must be over, if it has a budget."""
    tracking: Tracking = field(default_factory=Tracking)
    """Trackers that follow the run; the first process tells them."""

    def remaining(self) -> float:
        """Returns the seconds that this process may still take."""
        return math.inf if self.deadline is None else self.deadline.remaining()
