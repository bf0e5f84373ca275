"""One process at a time works in a run's folder; of several that train together, the first one stands for all."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from monet.errors import InputError, shortened
from monet.locks import Held, NoLocks, open_locked

logger = logging.getLogger(__name__)

NAME = ".lock"
"""The file in a run's folder that is locked, and says by whom."""


def hold(folder: Path, holder: Mapping[str, Any]) -> Callable[[], None]:
    """Keeps other processes out of a run's folder, which is made if it is not there.

    The system gives the lock back when this process ends, however it ends. Processes that it starts do not hold it, and
    nobody needs it to read.

    Args:
        folder: of the run.
        holder: `pid`, `host`, `since` and `command` of this process, for what others are told.

    Returns:
        Gives the lock back. Nothing is left of the lock then, nor of folders that were made for it and stayed empty.

    Raises:
        InputError: another process works there (the message says which one), or the folder cannot be written to.
    """
    made: list[Path] = []
    file: IO[bytes] | None = None
    try:
        _make(folder, made)
        file = open_locked(folder / NAME)
        os.truncate(file.fileno(), 0)
        os.write(file.fileno(), json.dumps(dict(holder)).encode())
    except Held:
        raise InputError(
            f"{folder} is in use by {_holder(folder / NAME)}: wait until it has ended, or give --run another name"
        ) from None
    except NoLocks as error:
        logger.warning("nothing keeps a second process out of %s: no locks there (%s)", folder, error)
    except OSError as error:
        _release(folder, file, made)
        raise InputError(f"{folder} cannot be written to ({error.strerror}): give --run another name") from error
    return lambda: _release(folder, file, made)


def _make(folder: Path, made: list[Path]) -> None:
    """Makes a folder, and notes those that were not there, the innermost first."""
    made += [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)


def _release(folder: Path, file: IO[bytes] | None, made: list[Path]) -> None:
    with contextlib.suppress(OSError):  # removed while it is held, so that nobody takes a lock that is about to go
        if file:
            (folder / NAME).unlink()
    if file:
        file.close()
    with contextlib.suppress(OSError):  # not empty any more
        for place in made:
            place.rmdir()


def _holder(path: Path) -> str:
    """Who holds a lock, as far as the file says so."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        words = {name: shortened(str(found[name]), 120) for name in ("pid", "host", "since", "command")}
        return "process {pid} on {host} since {since} ({command})".format_map(words)
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
