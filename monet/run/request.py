"""A request for a run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monet.errors import InputError, shown

Settings = Mapping[str, Any] | Sequence[str]
"""Settings by their dotted names, or as words of a command line."""


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


def run_request(
    data: str | os.PathLike[str],
    run: str | os.PathLike[str] | None,
    recipe: str | None,
    budget: str | None,
    horizon: str | None,
    resume: bool,
    settings: Settings,
    *,
    train: bool = True,
) -> RunRequest:
    """Returns the request that the arguments of `monet.train` and `monet.submit` make.

    Raises:
        InputError: a setting is none that a recipe could hold.
    """
    if isinstance(settings, str):
        raise InputError(f"settings are a text, {shown(settings)}: give a mapping or a list of words")
    words = _words(settings) if isinstance(settings, Mapping) else list(settings)
    words += _words({name: value for name, value in (("budget", budget), ("horizon", horizon)) if value is not None})
    return RunRequest(
        data=os.fspath(data),
        run=None if run is None else Path(run),
        recipe=recipe,
        overrides=words,
        resume=resume,
        train=train,
    )


def _words(settings: Mapping[str, Any]) -> list[str]:
    """Returns settings by their dotted names as words of a command line.

    Raises:
        InputError: a value is not one that YAML has.
    """
    words = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            raise InputError(f"settings give {name} fields: write them as '{name}.NAME'")
        try:
            words += [f"--{name}", value if isinstance(value, str) else json.dumps(value)]
        except TypeError:
            kind = type(value).__name__
            raise InputError(f"{name} is a {kind}: give a number, a text, a list, true, false or None") from None
    return words
