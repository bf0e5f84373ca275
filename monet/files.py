"""Whole files are written beside their name, flushed and renamed, so that a name never holds half a file."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from monet.errors import InputError, MonetError
from monet.locks import Held, NoLocks, open_locked

_PARTIAL = ".partial"
_UNFINISHED: set[Path] = set()
"""Files that this process is writing."""
_LONGEST_NAME = 255
"""Bytes in a file's name, on nearly every file system."""
_MOST_JSON = 64 * 2**20
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}


@contextlib.contextmanager
def written_whole(path: Path, on_whole: Callable[[Path], None] = lambda _: None) -> Iterator[IO[bytes]]:
    """Opens a binary file that takes its name only when it is complete and on the disk.

    Args:
        path: the final name; a file that already stands there stays until the new one replaces it.
        on_whole: called with the file under the name that it has until then, when it is complete: size and time of its
            last change are those that it will keep.

    Raises:
        MonetError: the file could not be written (disk full, no permission); the old one is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if (kind := irregular_kind(path)) and not path.is_symlink():
            raise OSError(errno.EINVAL, f"it is {kind}")
        partial, file = _open_partial(path)
        _UNFINISHED.add(partial)
        with file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                _close_where_open_files_stay(file)
                on_whole(partial)
                partial.replace(path)  # still locked, so that nobody takes it for one that was left behind
            except BaseException:
                _close_where_open_files_stay(file)
                _remove(partial)
                raise
            finally:
                _UNFINISHED.discard(partial)
        sync_folder(path.parent)
    except OSError as error:
        kept = "; the earlier file is untouched" if os.path.lexists(path) else ""
        raise MonetError(f"cannot write {path}: {error.strerror or error}{kept}") from error


def remove_unfinished() -> None:
    """Removes what this process has begun to write, because it ends without another step."""
    for partial in list(_UNFINISHED):
        _remove(partial)


def remove_left_behind(folder: Path, of: Callable[[str], bool] = lambda _: True) -> None:
    """Removes the unfinished files that a killed process left in a folder; those that a process still writes stay.

    Args:
        folder: where to look; not in the folders below it.
        of: whether files of this final name are to be looked at.
    """
    with contextlib.suppress(OSError):
        for partial in list(folder.glob(f"*{_PARTIAL}")):
            if of(final_name(partial.name)) and not _is_irregular(partial):
                with contextlib.suppress(Held, NoLocks, OSError), open_locked(partial, create=False) as file:
                    _close_where_open_files_stay(file)
                    partial.unlink()


def final_name(name: str) -> str:
    """Returns the name that an unfinished file was to take; other names stay as they are."""
    return re.sub(rf"(\.\d+)?{re.escape(_PARTIAL)}$", "", name)


def irregular_kind(path: Path) -> str | None:
    """Returns the kind of file at a path, unless it is a regular one. To open a named pipe, or some devices, waits
    without end, so this is asked first. Where nothing is there, or nothing may be known, opening says so.

    Returns:
        Such as "a named pipe"; None for a regular file, and where opening will tell.
    """
    try:
        return kind_of_mode(path.stat().st_mode)
    except OSError:
        return None


def kind_of_mode(mode: int) -> str | None:
    """Returns the kind of file by its mode, such as "a named pipe"; None for a regular file."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no regular file")


def require_regular(path: Path) -> None:
    """Checks that what is about to be read is a regular file; see `irregular_kind`.

    Raises:
        InputError: it is a folder, a named pipe, a device or a socket.
    """
    if kind := irregular_kind(path):
        raise InputError(f"{path} cannot be read: it is {kind}; give a regular file")


def require_writable(path: Path) -> None:
    """Checks that a file could be written here, before the work that would fill it. Changes nothing.

    Raises:
        InputError: something other than a regular file is there, or its folder cannot be written to.
    """
    advice = "give the name of a file"
    try:
        if path.is_symlink():
            raise InputError(f"{path} is a link: {advice} that is none")
        if kind := irregular_kind(path):
            raise InputError(f"{path} is {kind}: {advice}")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.lstat()
        nearest = next(parent for parent in path.absolute().parents if parent.exists())
        possible = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    except (OSError, ValueError) as error:  # too long, a loop of links, a NUL
        raise InputError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    if not possible:
        raise InputError(f"{path} cannot be written: {nearest} is not a folder that can be written to")


def require_output(path: Path, what: str, is_one: Callable[[Path], bool], inputs: Iterable[Path] = ()) -> None:
    """Checks, before the work that would fill it, that a file may be written here, and that nothing is lost by it.

    What is there may be replaced if it is empty or of the same kind, and no input, by whatever name.

    Args:
        path: the output.
        what: its kind, with its article, such as "an archive of images".
        is_one: whether an existing file is of that kind.
        inputs: files, and folders of files, that the command reads.

    Raises:
        InputError: it may not.
    """
    require_writable(path)
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    for source in inputs:
        with contextlib.suppress(OSError):  # the reader says what is wrong with it
            for file in source.iterdir() if source.is_dir() else [source]:
                if os.path.samestat(there, file.stat()):
                    raise InputError(f"{path} is read by this command ({file}): give the output another name")
    if there.st_size and not is_one(path):
        raise InputError(f"{path} is there and is not {what}: move it away, or give another name")


def is_json_with(key: str) -> Callable[[Path], bool]:
    """Tells whether a file is one that `write_json` wrote of a dict that holds this key."""

    def is_one(path: Path) -> bool:
        try:
            if path.stat().st_size > _MOST_JSON:
                return False
            text = path.read_text(encoding="utf-8")
            return text.startswith("{\n") and key in json.loads(text)
        except (OSError, ValueError, RecursionError):
            return False

    return is_one


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file whole; what is no text, such as parts of odd file names, becomes a question mark."""
    with written_whole(path) as file:
        file.write(text.encode(errors="replace"))


def write_json(path: Path, value: Any) -> None:
    """Writes a value as indented JSON, whole."""
    write_text(path, json.dumps(value, indent=2, sort_keys=False) + "\n")


def add_line(path: Path, line: str) -> None:
    """Adds a line to a text file, and to the disk, in one piece, so that lines of several processes do not mix; a torn
    line before it, as a kill may leave one, stays by itself.

    Raises:
        OSError: it cannot be written, or is a link or no regular file.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
    with open(descriptor, "r+b", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
        if size := os.fstat(descriptor).st_size:
            file.seek(size - 1)
            line = line if file.read(1) == b"\n" else f"\n{line}"
        file.write(f"{line}\n".encode())
        os.fsync(descriptor)


def _open_partial(path: Path) -> tuple[Path, IO[bytes]]:
    """Returns an empty file beside a name, locked, so that two processes that write the same file do not write into
    one."""
    for number in itertools.count():
        ending = (f".{number}" if number else "") + _PARTIAL
        start = path.name.encode(errors="surrogateescape")[: _LONGEST_NAME - len(ending)].decode(errors="ignore")
        partial = path.with_name(start + ending)
        if _is_irregular(partial):
            continue
        try:
            file = open_locked(partial)
        except Held:
            continue
        except NoLocks:
            return partial, open(partial, "wb")
        if os.fstat(file.fileno()).st_nlink == 1:
            file.truncate(0)  # a killed process may have left it behind
            return partial, file
        with file:  # another name of a file that is whole
            partial.unlink()
    raise AssertionError


def _close_where_open_files_stay(file: IO[bytes]) -> None:
    """Closes a file on Windows, where an open one can neither be removed nor get another name."""
    if sys.platform == "win32":
        file.close()


def _is_irregular(path: Path) -> bool:
    """Returns whether something other than a file is here, or a link."""
    return path.is_symlink() or irregular_kind(path) is not None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Makes the rename itself durable, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
