"""Files by their address: a path on this machine, or whatever fsspec knows, such as `s3://bucket/folder/file`.

Whoever reads or writes at a distance meets dropped connections and stores that ask for patience (503, `SlowDown`):
every call is tried again, each time after a longer pause.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from monet.errors import InputError, MonetError, first_line
from monet.files import require_regular, written_whole
from monet.inference.sources import fixed_parts
from monet.shards.libraries import library

T = TypeVar("T")

_TRIES = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 20.0
"""Seconds between tries: doubled each time."""
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
"""Errors that a second try does not mend."""
_OBJECT_STORES = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"))
"""Where a file appears only when it is complete; elsewhere it is written beside its name and renamed."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "retries": {"max_attempts": 5, "mode": "standard"},
            "connect_timeout": 20,
            "read_timeout": 60,
        },
        "use_listings_cache": False,
    }
}
_CHUNK = 2**22


@dataclass(frozen=True)
class Entry:
    """A file that a folder holds."""

    name: str
    """Its path below the folder, with slashes."""
    address: str
    """Where it is."""
    identity: str
    """Changes when the file does: its size, and what the store says of its content or of its last change."""


def is_remote(address: str) -> bool:
    """Returns whether an address is fsspec's, and not a path."""
    return "://" in address


def everywhere(address: str) -> str:
    """Returns an address as processes elsewhere take it: a path from the root on.

    Raises:
        InputError: it is of this process alone.
    """
    if address.startswith("memory://"):
        raise InputError(f"{address} is in the memory of one process: give a folder that all processes reach")
    if address.startswith("file://"):
        address = url2pathname(urlsplit(address).path)
    return address if is_remote(address) else str(Path(address).absolute())


def below(folder: str, name: str) -> str:
    """Returns the address of a file below a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(Path(folder) / name)


def listed_below(folder: str) -> list[Entry]:
    """Returns the files in a remote folder and in those below it, by name; hidden ones are left out.

    Raises:
        InputError: there is no such folder.
        MonetError: it cannot be asked.
    """

    def find() -> dict[str, dict[str, Any]]:
        system, path = _system(folder)
        return dict(system.find(path, detail=True)) if system.exists(path) else {}

    found = _tried(find, folder)
    if not found:
        raise InputError(f"no files at {folder}: give a folder with pictures or shards")
    return _entries(found, folder)


def is_folder(address: str) -> bool:
    """Returns whether there is a folder.

    Raises:
        MonetError: the store cannot be asked.
    """
    if not is_remote(address):
        return Path(address).is_dir()

    def ask() -> bool:
        system, path = _system(address)
        return bool(system.isdir(path))

    return _tried(ask, address)


def above(folder: str) -> list[str]:
    """Returns the folders that a folder is in; of a store those below its bucket or host."""
    if not is_remote(folder):
        return [str(parent) for parent in Path(folder).absolute().parents]
    scheme, _, path = folder.rstrip("/").partition("://")
    parts = path.split("/")
    return [f"{scheme}://{'/'.join(parts[:count])}" for count in range(len(parts) - 1, 0, -1)]


def stems(folder: str, suffix: str) -> list[str]:
    """Returns the names of a folder's files that end in a suffix, without it; none of a folder that is not there, or
    cannot be looked into."""
    if not is_remote(folder):
        return [path.name.removesuffix(suffix) for path in Path(folder).glob(f"*{suffix}")]

    def ask() -> list[str]:
        system, path = _system(folder)
        return [str(name) for name in system.glob(f"{path}/*{suffix}")]

    with contextlib.suppress(FileNotFoundError, MonetError):
        return [name.rpartition("/")[2].removesuffix(suffix) for name in _tried(ask, folder)]
    return []


def matching(pattern: str) -> tuple[str, list[Entry]]:
    """Returns a remote pattern's part without `*`, `?` and `[`, and the files that match it, named below that.

    Raises:
        InputError: there are none.
        MonetError: the store cannot be asked.
    """
    scheme, _, path = pattern.partition("://")
    folder = f"{scheme}://{'/'.join(fixed_parts(path.split('/')[:-1]))}"

    def find() -> dict[str, dict[str, Any]]:
        system, path = _system(pattern)
        if not system.exists(_system(folder)[1]):
            return {}
        return {name: about for name, about in system.glob(path, detail=True).items() if about["type"] == "file"}

    if not (found := _tried(find, pattern)):
        raise InputError(f"no files match {pattern}: give a folder, or a pattern of .parquet or .tar files")
    return folder, _entries(found, folder)


def _entries(found: dict[str, dict[str, Any]], folder: str) -> list[Entry]:
    root = _system(folder)[1].rstrip("/")
    entries = []
    for path, about in sorted(found.items()):
        name = path[len(root) :].lstrip("/") or path.rpartition("/")[2]
        if not any(part.startswith(".") for part in name.split("/")):
            address = below(folder, name) if path != root else folder
            entries.append(Entry(name, address, _identity(about)))
    return entries


def entry(address: str) -> Entry | None:
    """Returns a file; None where there is none.

    Raises:
        MonetError: the store cannot be asked.
    """
    name = address.rstrip("/").rpartition("/")[2]
    if not is_remote(address):
        path = Path(address)
        with contextlib.suppress(OSError):
            status = path.stat()
            return Entry(path.name, address, f"{status.st_size} {status.st_mtime_ns}")
        return None

    def ask() -> Entry | None:
        system, path = _system(address)
        try:
            about = system.info(path)
        except FileNotFoundError:
            return None
        return Entry(name, address, _identity(about)) if about["type"] == "file" else None

    return _tried(ask, address)


def read_bytes(address: str) -> bytes:
    """Returns what a file holds.

    Raises:
        FileNotFoundError: there is none.
        MonetError: it cannot be read.
    """
    if not is_remote(address):
        require_regular(Path(address))
        return Path(address).read_bytes()

    def read() -> bytes:
        system, path = _system(address)
        return bytes(system.cat_file(path))

    return _tried(read, address)


@contextlib.contextmanager
def opened(address: str) -> Iterator[IO[bytes]]:
    """Opens a file for reading, in whatever order. A remote one is fetched first, to a file that is gone at the end.

    Raises:
        FileNotFoundError: there is none.
        MonetError: it cannot be read.
    """
    if not is_remote(address):
        require_regular(Path(address))
        with open(address, "rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as fetched:

        def fetch() -> None:
            system, path = _system(address)
            fetched.seek(0)
            fetched.truncate()
            with system.open(path, "rb", cache_type="readahead", block_size=_CHUNK) as remote:
                shutil.copyfileobj(remote, fetched, _CHUNK)

        _tried(fetch, address)
        fetched.seek(0)
        yield fetched


@contextlib.contextmanager
def written(address: str) -> Iterator[IO[bytes]]:
    """Opens a file for writing that takes its name only when it is complete.

    Raises:
        MonetError: it cannot be written; what was there before is untouched.
    """
    if not is_remote(address):
        with written_whole(Path(address)) as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(prefix="monet-") as whole:
        yield whole
        whole.flush()
        size = whole.tell()

        def send() -> None:
            system, path = _system(address)
            straight = address.partition("://")[0] in _OBJECT_STORES
            target = path if straight else f"{path}.tmp"
            if not straight:
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
            system.put_file(whole.name, target)
            if system.info(target)["size"] != size:
                raise OSError(errno.EIO, "not all of it has arrived")
            if not straight:
                system.mv(target, path)

        _tried(send, address)


def require_place(folder: str) -> None:
    """Checks that a folder for results can be used, and makes a local one.

    Raises:
        InputError: it cannot.
        MonetError: the library for it is missing.
    """
    if is_remote(folder):
        _system(folder)
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} is no folder that can be made: {error.strerror}") from error


def _tried(call: Callable[[], T], address: str, pause: Callable[[float], None] = time.sleep) -> T:
    for attempt in itertools.count(1):
        try:
            return call()
        except _FINAL as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise MonetError(f"{address}: {first_line(error)}") from error
        except MonetError:
            raise
        except Exception as error:  # what the libraries of a store raise when it is busy or gone is theirs to choose
            if attempt == _TRIES or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise MonetError(f"{address}: {first_line(error, type(error).__name__)} ({attempt} tries)") from error
            pause(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1)))
    raise AssertionError


def _system(address: str) -> tuple[Any, str]:
    """Returns fsspec's file system, and the path in it."""
    scheme = address.partition("://")[0]
    system = _system_of(scheme, address if scheme not in _OBJECT_STORES else "")
    return system, str(system._strip_protocol(address))  # noqa: SLF001 (fsspec's own way from an address to a path)


@cache
def _system_of(scheme: str, address: str) -> Any:
    """Of an object store there is one; of others, such as `sftp://host/`, the address says which."""
    fsspec = library("fsspec")
    try:
        if address:
            return fsspec.core.url_to_fs(address, **_OPTIONS.get(scheme, {}))[0]
        return fsspec.filesystem(scheme, **_OPTIONS.get(scheme, {}))
    except ImportError as error:
        raise MonetError(f"{scheme}:// needs a library that is not installed: {first_line(error)}") from error
    except ValueError as error:
        raise InputError(f"{scheme}:// is no kind of address that is known: {first_line(error)}") from error


def _identity(about: dict[str, Any]) -> str:
    content = next((about[key] for key in ("ETag", "etag", "md5Hash", "content_md5") if about.get(key)), None)
    changed = next((about[key] for key in ("LastModified", "mtime", "last_modified", "created") if about.get(key)), "")
    return f"{about.get('size')} {content or changed}"
