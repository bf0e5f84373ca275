"""Where memory is short: which errors mean that, and what is known before one comes."""

from __future__ import annotations

import errno
import importlib.util
import sys
from pathlib import Path

from monet.errors import MonetError

_WORDS = (
    *("allocate memory", "unable to allocate", "failed to allocate", "bad_alloc", "out of memory", "not enough memory"),
    *("failed to map segment", "cannot map zero-fill pages", "can't start new thread"),
)


def require_room_for_torch() -> None:
    """Checks that PyTorch can be loaded where the address space is limited (`ulimit -v`): where its libraries meet the
    limit, they may abort the process, which nobody can catch.

    Raises:
        MonetError: there is not enough.
    """
    limit = address_space()
    found = importlib.util.find_spec("torch") if limit is not None else None
    if limit is None or found is None or found.origin is None:
        return
    package = Path(found.origin).parent
    libraries = [*package.glob("lib/*.so*"), *package.parent.glob("nvidia/*/lib/*.so*")]
    needed = sum(library.stat().st_size for library in libraries)
    if limit < needed:
        raise MonetError(
            f"not enough memory: this process may take {limit / 1e9:.1f} GB of address space (ulimit -v), and the "
            f"libraries of PyTorch alone take {needed / 1e9:.1f} GB"
        )


def address_space() -> int | None:
    """Returns bytes of address space that this process may take; None where that is not limited."""
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def is_about_memory(error: BaseException | None) -> bool:
    """Returns whether an error says that memory, or room for another thread, is short, or one that led to it does:
    libraries have many words for it."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if any(word in str(error).lower() for word in _WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False
