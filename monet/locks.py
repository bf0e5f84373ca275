"""Locks on open files: the system gives them back when the process that holds one ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from pathlib import Path
from typing import IO

_HELD = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
_FAR = 2**40
"""Where Windows locks a byte: beyond the end, because a locked byte cannot be read there."""

_PAUSE = 0.2
_MOST_TRIES = 1_000
"""Some network file systems number their files anew at every look."""


class Held(Exception):
    """Another process holds the lock."""


class NoLocks(Exception):
    """This file system has no locks."""


def open_locked(path: Path, *, create: bool = True, wait: bool = False) -> IO[bytes]:
    """Opens a file for reading and writing, and locks it. Closing it gives the lock back.

    Processes that this one starts do not inherit it.

    Args:
        path: the file; its contents stay as they are.
        create: make it if it is not there.
        wait: until nobody else holds the lock.

    Raises:
        Held: another process, or another part of this one, holds it.
        NoLocks: the file system has none.
        OSError: it cannot be opened, or it is a link or no regular file.
    """
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    for _ in range(_MOST_TRIES):
        file = os.fdopen(os.open(path, flags, 0o666), "r+b")
        try:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
            _lock(file, wait)
            if is_still(path, file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its holder has removed or renamed it
    raise NoLocks("files are not the same from one look to the next")


def is_still(path: Path, file: IO[bytes]) -> bool:
    """Returns whether the name leads to the file that was opened."""
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _lock(file: IO[bytes], wait: bool) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_FAR)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError as error:
                if not (wait and error.errno in _HELD):
                    raise
                time.sleep(_PAUSE)  # Windows' own way to wait gives up after ten seconds
                return _lock(file, wait)
            finally:
                file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        raise (Held if error.errno in _HELD else NoLocks)(os.strerror(error.errno or 0)) from error
