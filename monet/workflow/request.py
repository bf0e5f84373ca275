"""A request for a run, and the surroundings in which it is carried out."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monet.clock import Clock
from monet.distributed import Group
from monet.workflow.display import Display, Interrupts


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A request to train a run, or to continue one."""

    data: str = "auto"
    """A folder, `auto` or `demo`; see `monet.workflow.find_data`."""
    run: Path | None = None
    """The run's folder; `runs/<UTC time>` by default."""
    recipe: str | None = None
    """A recipe's name or a YAML file; by default `demo` for the demo data, else `kaggle` with an accelerator and
    `quick-cpu` without."""
    overrides: Sequence[str] = ()
    """Settings as words of a command line, such as `["--training.epochs", "3", "--budget", "5h"]`."""
    resume: bool = False
    """Continue the run in `run`; where there is none yet, start it."""
    skip_bad: bool = False
    """Leave photos out of the archive that cannot be read; otherwise they end the run before training."""
    paint: bool = True
    """Painting follows the training, so its time is kept free."""
    train: bool = True
    """The run is trained; otherwise a checkpoint of it paints."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The surroundings of a run: time, processes, folders, and who is told of its progress."""

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
