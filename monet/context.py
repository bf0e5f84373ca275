"""The surroundings in which a run is carried out: time, processes, folders, and who is told of its progress."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monet.clock import Clock
from monet.display import Display
from monet.distributed import Group
from monet.interrupts import Interrupts
from monet.machine import available_processors


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a run needs of the process and the machine that carry it out."""

    clock: Clock
    """Tells the time."""
    started: float
    """When the process began, on that clock: its budget counts from there."""
    now: datetime.datetime
    """Date and time, in UTC."""
    cache_folder: Path
    """Folder of monet's own caches: the demo set and the features of scored images."""
    weights_folder: Path
    """PyTorch hub's folder, where the weights of Inception are kept."""
    group: Group = field(default_factory=Group)
    """The processes that train and paint together."""
    display: Display = field(default_factory=Display)
    """Shows progress."""
    interrupts: Interrupts = field(default_factory=Interrupts)
    """Tells when to stop."""
    credentials: Callable[[], Mapping[str, bool]] = dict
    """Returns which trackers can be online; called where a run has trackers."""
    command: Sequence[str] = ()
    """The command line, for `environment.json` and for other processes that want to use the run's folder."""

    @property
    def processors(self) -> int:
        """This process's share of the processors."""
        return available_processors(self.group.local_world_size)
