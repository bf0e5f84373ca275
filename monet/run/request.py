"""A request for a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A request to train a run, or to continue one."""

    data: str = "auto"
    """A folder, `auto` or `demo`; see `monet.run.data.find_data`."""
    run: Path | None = None
    """The run's folder; `runs/<UTC time>` by default."""
    recipe: str | None = None
    """A recipe's name or a YAML file; by default `demo` for the demo data, else `kaggle` with an accelerator and
    `quick-cpu` without."""
    overrides: Sequence[str] = ()
    """Settings as words of a command line, such as `["--training.epochs", "3", "--budget", "5h"]`."""
    resume: bool = False
    """Continue the run in `run`; where there is none yet, start it."""
    train: bool = True
    """The run is trained; otherwise a checkpoint of it paints."""
