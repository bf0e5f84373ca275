"""Which errors mean that memory, or room for another thread, is short: libraries have many words for it."""

from __future__ import annotations

import errno

_WORDS = (
    *("allocate memory", "unable to allocate", "failed to allocate", "bad_alloc", "out of memory", "not enough memory"),
    *("failed to map segment", "cannot map zero-fill pages", "can't start new thread"),
)


def is_about_memory(error: BaseException | None) -> bool:
    """An error says so, or one that led to it does."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if any(word in str(error).lower() for word in _WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False
