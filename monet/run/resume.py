"""The settings that a resumed run may change."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

from monet.config import Config, from_dict
from monet.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class GivenSettings:
    """Dotted names of the settings that a request gives."""

    explicit: frozenset[str] = frozenset()
    """On the command line itself: only these may change a run's horizon."""
    in_recipe: frozenset[str] = frozenset()
    """In a recipe that is named there."""

    @property
    def anywhere(self) -> frozenset[str]:
        """Both: what may change in a resumed run."""
        return self.explicit | self.in_recipe


def merged_config(checkpoint: dict[str, Any], asked: Config, given: GivenSettings) -> Config:
    """Returns the settings of a resumed run: its own, but for those that the request gives.

    Args:
        checkpoint: the checkpoint that the run is resumed from.
        asked: the settings that the request would give a new run.
        given: the settings that it names. A recipe does not change where the run ends.

    Raises:
        InputError: a setting that a run cannot change was given another value.
    """
    stored = from_dict(checkpoint["config"])
    changed: dict[str, Any] = {}
    for name in sorted(given.anywhere):
        group, _, setting = name.rpartition(".")
        old, new = (getattr(getattr(config, group) if group else config, setting) for config in (stored, asked))
        if old == new:
            continue
        if name in ("training.epochs", "training.stages", "horizon") and name not in given.explicit:
            logger.info("%s stays %s, not %s as in the recipe: --%s changes it", name, old, new, name)
            continue
        way_back = name == "training.lambda_cycle" and 0 in (old, new)
        if group in ("model", "data") or name in ("training.seed", "training.pool_size") or way_back:
            raise InputError(f"{name} is {old} in this run and {new} here: a run cannot change it; start another one")
        logger.info("%s changes from %s to %s", name, old, new)
        changed[name] = new
    top = {name: value for name, value in changed.items() if "." not in name}
    try:
        groups = {
            group: dataclasses.replace(
                getattr(stored, group),
                **{name.split(".")[1]: value for name, value in changed.items() if name.startswith(f"{group}.")},
            )
            for group in ("training", "generation")
        }
        return dataclasses.replace(stored, **groups, **top)
    except ValueError as error:  # what is given does not go with what the run has
        raise InputError(str(error)) from None
