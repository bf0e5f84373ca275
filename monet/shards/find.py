"""Which shards an input holds, and what theirs are called."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from monet.errors import InputError, shown
from monet.inference.sources import VIDEO_SUFFIXES, Sources, find_sources, is_picture_by_name
from monet.shards import store

Kind = Literal["parquet", "tar", "folder"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_SUFFIXES: dict[str, Kind] = {".parquet": "parquet", ".tar": "tar"}
_MAGIC = frozenset("*?[")
_NOWHERE = Path(os.devnull, "nowhere")


@dataclass(frozen=True)
class Shard:
    """Pictures that are worked on together, once, by one process."""

    name: str
    """What its results are called after: its path below the input, without the ending; with slashes."""
    kind: Kind
    """A Parquet file; a tar of pictures, as WebDataset has it; or some files of a folder."""
    address: str
    """Of the file, or of the folder."""
    identity: str
    """Changes when its content does."""
    first: int = 0
    """Of a folder's: the number of its first picture."""
    files: tuple[str, ...] = ()
    """Of a folder's: their paths below it, with slashes."""


def find_shards(given: str, output: str | None = None, *, size: int = 512) -> list[Shard]:
    """Finds the shards of an input, by name.

    Args:
        given: a shard (`.parquet`, `.tar`), a folder of shards or of pictures (with all below it), a pattern of such
            files, or the address of one at a distance, such as `s3://bucket/photos`. A folder that holds shards is
            taken for a folder of shards.
        output: a folder that is not entered.
        size: pictures of a shard, where a folder of pictures is cut into shards.

    Raises:
        InputError: nothing is there.
        MonetError: a store at a distance does not answer.
    """
    if size < 1:
        raise InputError(f"--shard-size is {size}: give at least 1")
    shards = _remote(given, output, size) if store.is_remote(given) else _local(given, output, size)
    names = [shard.name for shard in shards]
    if twice := next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None:
        raise InputError(f"{given} holds two shards called {shown(twice)}: rename one of them")
    return shards


def is_shard(given: str) -> bool:
    """Returns whether an input is a shard, a folder of shards, or at a distance, so that only an engine can read it."""
    if store.is_remote(given) or PurePosixPath(given).suffix.lower() in _SUFFIXES:
        return True
    with contextlib.suppress(OSError):
        return any(path.suffix.lower() in _SUFFIXES for path in Path(given).iterdir())
    return False


def _local(given: str, output: str | None, size: int) -> list[Shard]:
    path = Path(given)
    written = Path(output) if output and not store.is_remote(output) else _NOWHERE
    if path.is_file():
        return [_shard_file(path, path.name)] if path.suffix.lower() in _SUFFIXES else _alone(path)
    if path.is_dir():
        inside = path.resolve()
        if written.exists() and written.resolve() == inside:
            raise InputError(f"{output} is the folder of the originals: give another --output")
        files = sorted(file for suffix in _SUFFIXES for file in path.rglob(f"*{suffix}") if file.is_file())
        kept = [file for file in files if not _hidden(file.relative_to(path)) and not _within(file, written)]
        if kept:
            return [_shard_file(file, file.relative_to(path).as_posix()) for file in kept]
        return _cut(given, find_sources(given, "ab", written), size)
    if _MAGIC & set(given):
        found = sorted(Path(match) for match in glob.glob(given, recursive=True))  # noqa: PTH207 (absolute patterns)
        files = [file for file in found if file.suffix.lower() in _SUFFIXES and file.is_file()]
        if files:
            base = Path(*_fixed_parts(Path(given).parts[:-1]))
            return [_shard_file(file, file.relative_to(base).as_posix()) for file in files]
        raise InputError(f"no shards match {given}: give a folder, or a pattern of .parquet or .tar files")
    raise InputError(f"nothing is at {given}: give a shard, a folder, or an address such as s3://bucket/photos")


def _fixed_parts(parts: Sequence[str]) -> list[str]:
    fixed = []
    for part in parts:
        if _MAGIC & set(part):
            break
        fixed.append(part)
    return fixed


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _within(file: Path, folder: Path) -> bool:
    return folder.exists() and file.resolve().is_relative_to(folder.resolve())


def _shard_file(path: Path, name: str) -> Shard:
    suffix = path.suffix.lower()
    found = store.entry(str(path))
    return Shard(name[: -len(suffix)], _SUFFIXES[suffix], str(path), found.identity if found else "")


def _alone(path: Path) -> list[Shard]:
    if path.suffix.lower() in VIDEO_SUFFIXES or not is_picture_by_name(path):
        raise InputError(f"{path} is no shard and no picture: an engine takes .parquet, .tar, and folders of pictures")
    return [_group(str(path.parent), [store.Entry(path.name, str(path), _identity_of(path), 0)], 0)]


def _identity_of(path: Path) -> str:
    found = store.entry(str(path))
    return found.identity if found else ""


def _cut(folder: str, sources: Sources, size: int) -> list[Shard]:
    base = Path(folder)
    entries = [
        store.Entry(source.name.as_posix(), str(source.path), _identity_of(base / source.name), 0)
        for source in sources.files
        if not source.is_video
    ]
    if not entries:
        raise InputError(f"{folder} holds no picture: videos go without --engine")
    return _groups(folder, entries, size)


def _groups(folder: str, entries: Sequence[store.Entry], size: int) -> list[Shard]:
    return [_group(folder, entries[first : first + size], first) for first in range(0, len(entries), size)]


def _group(folder: str, entries: Sequence[store.Entry], first: int) -> Shard:
    names = [entry.name for entry in entries]
    known = hashlib.sha256("\0".join([*names, *(entry.identity for entry in entries)]).encode(errors="replace"))
    called = hashlib.sha256("\0".join(names).encode(errors="replace")).hexdigest()[:8]
    return Shard(f"pictures-{first:09d}-{called}", "folder", folder, known.hexdigest()[:32], first, tuple(names))


def _remote(given: str, output: str | None, size: int) -> list[Shard]:
    folder = given.rstrip("/")
    suffix = PurePosixPath(folder).suffix.lower()
    if suffix in _SUFFIXES and (found := store.entry(folder)):
        return [Shard(found.name[: -len(suffix)], _SUFFIXES[suffix], folder, found.identity)]
    entries = store.listed_below(folder)
    if output and output.startswith(f"{folder}/"):
        written = output[len(folder) + 1 :].rstrip("/")
        entries = [entry for entry in entries if not entry.name.startswith(f"{written}/")]
    elif output and output.rstrip("/") == folder:
        raise InputError(f"{output} is the folder of the originals: give another --output")
    suffixes = [PurePosixPath(entry.name).suffix.lower() for entry in entries]
    shards = [
        Shard(entry.name[: -len(suffix)], _SUFFIXES[suffix], entry.address, entry.identity)
        for entry, suffix in zip(entries, suffixes, strict=True)
        if suffix in _SUFFIXES
    ]
    if shards:
        return shards
    pictures = [entry for entry in entries if is_picture_by_name(PurePosixPath(entry.name))]
    if not pictures:
        raise InputError(f"{given} holds no shard and no picture: {len(entries)} other files")
    return _groups(folder, pictures, size)
