"""Work that goes on in threads while its results are used in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """The same items, each given out only when `depth` more have been taken: what taking one starts, such as the
    submission of a future, is under way by then, and no more than that."""
    started: deque[T] = deque()
    for item in items:
        started.append(item)
        if len(started) > depth:
            yield started.popleft()
    yield from started
