"""All cases, class by class."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.campaign import (
    archives,
    caches,
    checkpoints,
    company,
    environment,
    folders,
    forged,
    limits,
    outputs,
    photos,
    recipes,
    settings,
    signals,
    streams,
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
)


def all_cases(seed: int = 0) -> list[Case]:
    """Every case; those that are chosen at random, by the seed."""
    return [case for cases in CLASSES for case in cases(seed)]
