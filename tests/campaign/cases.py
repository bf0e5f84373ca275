"""All cases, class by class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec

from tests.campaign import (
    archives,
    caches,
    checkpoints,
    clock,
    company,
    doors,
    environment,
    flips,
    folders,
    forged,
    limits,
    models,
    outputs,
    photos,
    recipes,
    settings,
    signals,
    streams,
    translation,
    vanishing,
)
from tests.campaign.stage import Case

CLASSES: tuple[Callable[[int], Iterator[Case]], ...] = (
    settings.cases,
    recipes.cases,
    folders.cases,
    photos.cases,
    outputs.cases,
    checkpoints.cases,
    forged.cases,
    archives.cases,
    caches.cases,
    environment.cases,
    streams.cases,
    limits.cases,
    signals.cases,
    company.cases,
    flips.cases,
    models.cases,
    translation.cases,
    vanishing.cases,
    clock.cases,
    doors.cases,
)


def all_cases(seed: int = 0) -> list[Case]:
    """Every case that can be played with what is installed; those that are chosen at random, by the seed."""
    return [case for cases in CLASSES for case in cases(seed) if all(map(_is_installed, case.libraries))]


@cache
def _is_installed(library: str) -> bool:
    return find_spec(library) is not None
