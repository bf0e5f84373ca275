"""One process at a time works in a run's folder; of several that train together, the first one stands for all."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from monet.errors import InputError, MonetError, shortened
from monet.locks import Held, NoLocks, is_still, open_locked

logger = logging.getLogger(__name__)

NAME = ".lock"
"""The file in a run's folder that is locked, and says by whom."""


class RunLock:
    """Keeps other processes out of a run's folder, which is made if it is not there.

    The system gives the lock back when this process ends, however it ends. Processes that it starts do not hold it, and
    nobody needs it to read.

    Args:
        folder: of the run.
        holder: `pid`, `host`, `since` and `command` of this process, for what others are told.

    Raises:
        InputError: another process works there (the message says which one), or the folder cannot be written to.
    """

    def __init__(self, folder: Path, holder: Mapping[str, Any]) -> None:
        self._folder = folder
        self._place = folder / NAME
        self._holder = dict(holder)
        self._made: list[Path] = []
        self._file: IO[bytes] | None = None
        self._take()

    def keep(self) -> None:
        """Makes sure that this process still holds the folder of that name, which may have been moved or removed, and
        made anew by another one.

        Raises:
            MonetError: another process works there now, or the folder cannot be written to.
        """
        if self._file is None or is_still(self._place, self._file):
            return
        logger.warning("%s was moved or removed: what follows is written to a new one", self._folder)
        self._file.close()
        self._made, self._file = [], None
        try:
            self._take()
        except InputError as error:
            raise MonetError(str(error)) from None

    def release(self) -> None:
        """Gives the lock back. Nothing is left of it then, nor of folders that were made for it and stayed empty."""
        file, self._file = self._file, None
        if file is None:
            return
        with file:
            if not is_still(self._place, file):
                return  # the place is another's by now
            with contextlib.suppress(OSError):  # removed while it is held: nobody takes a lock that is about to go
                self._place.unlink()
        _remove_empty(self._made)

    def _take(self) -> None:
        try:
            _make(self._folder, self._made)
            self._file = open_locked(self._place)
            os.truncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), json.dumps(self._holder).encode())
        except Held:
            user = _holder(self._place)
            raise InputError(
                f"{self._folder} is in use by {user}: wait until it has ended, or give --run another name"
            ) from None
        except NoLocks as error:
            logger.warning("nothing keeps a second process out of %s: no locks there (%s)", self._folder, error)
        except OSError as error:
            self.release()
            _remove_empty(self._made)
            raise InputError(
                f"{self._folder} cannot be written to ({error.strerror}): give --run another name"
            ) from error


def _make(folder: Path, made: list[Path]) -> None:
    """Makes a folder, and notes those that were not there, the innermost first."""
    made += [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)


def _remove_empty(folders: Sequence[Path]) -> None:
    with contextlib.suppress(OSError):  # not empty any more
        for place in folders:
            place.rmdir()


def _holder(path: Path) -> str:
    """Returns who holds a lock, as far as the file says so."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        words = {name: shortened(str(found[name]), 300) for name in ("pid", "host", "since", "command")}
        return "process {pid} on {host} since {since} ({command})".format_map(words)
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
