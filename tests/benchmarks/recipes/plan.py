"""What is to be compared."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from monet import recipes
from monet.clock import parse_duration
from monet.config import to_dict
from monet.errors import InputError
from monet.settings import resolve

_IN_ALL = " in all"
_PAIRS = " pairs"


@dataclass(frozen=True)
class Cell:
    """One training of the plan."""

    recipe: str
    variant: str
    settings: tuple[str, ...]
    """Words of a command line."""
    seed: int
    end: str
    """Such as `5m`, `30m in all` or `2000 pairs`."""

    @property
    def name(self) -> str:
        """A name for its folder: another one as soon as anything about it changes."""
        return re.sub(r"[^\w.-]+", "-", f"{self.variant}--{self.end}--seed{self.seed}--{self.key}")

    @property
    def submits(self) -> bool:
        """The end is that of a whole submission, so that all photos are painted within it, too."""
        return self.end.endswith(_IN_ALL)

    @property
    def words(self) -> list[str]:
        """The settings of its command line."""
        words = [*self.settings, "--training.seed", str(self.seed)]
        if self.submits:
            return [*words, "--budget", self.end.removesuffix(_IN_ALL)]
        if self.end.endswith(_PAIRS):
            epoch = ("--data.samples_per_epoch", self.end.removesuffix(_PAIRS), "--training.epochs", "1")
            return [*words, "--budget", "null", "--horizon", "null", *epoch]
        return [*words, "--budget", "null", "--horizon", self.end]

    @property
    def key(self) -> str:
        """A digest of all that makes a difference to its training, but for the data."""
        config = to_dict(resolve(recipes.read(self.recipe), self.words))
        return hashlib.sha256(json.dumps([self.variant, self.end, config], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Plan:
    """Variants × ends × seeds."""

    variants: tuple[str, ...]
    """Their names; the others are compared with the first one."""
    ends: tuple[str, ...]
    cells: tuple[Cell, ...]
    """Seed by seed, so that a plan that is broken off has compared all variants with the seeds that it reached."""


def read_plan(path: Path) -> Plan:
    """Reads a plan, and checks every setting in it.

    Raises:
        InputError: something in it is wrong.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        recipe, ends, seeds, variants = (values[name] for name in ("recipe", "ends", "seeds", "variants"))
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(f"plan {path} cannot be used ({error}): give recipe, ends, seeds and variants") from error
    _require(path, "recipe", "a word", isinstance(recipe, str))
    _require(path, "ends", "a list of words", _is_list(ends, str))
    _require(path, "seeds", "a list of whole numbers", _is_list(seeds, int))
    _require(path, "variants", "names, with settings below each", _is_group(variants))
    for settings in variants.values():
        what = "settings, such as training.lambda_cycle: 1.0"
        _require(path, "what is below variants", what, settings in (None, {}) or _is_group(settings))
    for end in ends:
        _require_end(end)
    cells = tuple(
        Cell(recipe, name, _words(settings or {}), seed, end)
        for end in ends
        for seed in seeds
        for name, settings in variants.items()
    )
    if len({cell.name for cell in cells}) < len(cells):
        raise InputError(f"plan {path} has something twice: give each end, seed and variant once")
    return Plan(tuple(variants), tuple(ends), cells)


def _require(path: Path, name: str, what: str, holds: bool) -> None:
    if not holds:
        raise InputError(f"plan {path} cannot be used: give {name} as {what}")


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is kind for item in value)


def _is_group(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(name, str) for name in value)


def _require_end(end: str) -> None:
    """Checks the end of a training.

    Raises:
        InputError: it is none.
    """
    if end.endswith(_PAIRS) and end.removesuffix(_PAIRS).isdigit():
        return
    try:
        parse_duration(end.removesuffix(_IN_ALL))
    except ValueError as error:
        raise InputError(f"an end is {end!r}: give 5m, 30m in all, or 2000 pairs") from error


def _words(settings: dict[str, Any]) -> tuple[str, ...]:
    return tuple(word for name, value in settings.items() for word in (f"--{name}", json.dumps(value).strip('"')))
