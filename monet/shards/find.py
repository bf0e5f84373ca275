"""Which shards an input holds, and what theirs are called."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from monet.errors import InputError, shown
from monet.inference.sources import (
    MAGIC,
    VIDEO_SUFFIXES,
    Source,
    Sources,
    find_sources,
    fixed_parts,
    is_picture_by_name,
    meant_for,
)
from monet.models import Direction
from monet.shards import store
from monet.shards.manifest import FOLDER as MANIFEST
from monet.shards.manifest import SETTINGS

Kind = Literal["parquet", "tar", "folder"]
_SUFFIXES: dict[str, Kind] = {".parquet": "parquet", ".tar": "tar"}
_RESULT = re.compile(r"-([0-9a-f]{16})$|(?:^|/)([0-9a-f]{16})/")
"""What a result's name ends in, or the folder that it is in."""
_PART = re.compile(r"^((?:.*/)?pictures-\d{9,}-)[0-9a-f]{8}-([0-9a-f]{16})$")
"""A result that is a part of a folder of pictures: the part's place, and the settings."""
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
    names: tuple[str, ...] = ()
    """Of a folder's: what their paintings are called, so that no two of the whole folder are called the same."""


def find_shards(
    given: str, output: str | None = None, *, size: int = 512, direction: Direction | None = "ab"
) -> list[Shard]:
    """Finds the shards of an input, by name.

    Args:
        given: a shard (`.parquet`, `.tar`), a folder of shards or of pictures (with all below it), a pattern of such
            files, or the address of one at a distance, such as `s3://bucket/photos`. A folder that holds shards is
            taken for a folder of shards.
        output: a folder that is not entered.
        size: pictures of a shard, where a folder of pictures is cut into shards.
        direction: in which its pictures are translated; None where nobody has said.

    Raises:
        InputError: nothing is there, results of different settings are, or pictures that are meant for both directions.
        MonetError: a store at a distance does not answer.
    """
    if size < 1:
        raise InputError(f"--shard-size is {size}: give at least 1")
    shards = (
        _remote(given, output, size, direction) if store.is_remote(given) else _local(given, output, size, direction)
    )
    names = Counter(shard.name for shard in shards)
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise InputError(f"{given} holds two shards called {shown(twice)}: rename one of them")
    return shards


def is_shard(given: str) -> bool:
    """Returns whether an input is a shard, a folder of shards, or at a distance, so that only an engine can read it."""
    if store.is_remote(given) or _is_shard_by_name(given):
        return True
    with contextlib.suppress(OSError):
        return any(_is_shard_by_name(path.name) for path in Path(given).iterdir())
    return False


def _is_shard_by_name(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _SUFFIXES


def _local(given: str, output: str | None, size: int, direction: Direction | None) -> list[Shard]:
    path = Path(given)
    written = Path(output) if output and not store.is_remote(output) else _NOWHERE
    if path.is_file():
        if not _is_shard_by_name(path.name):
            return _alone(path)
        return _shard_files([path], path.parent, written)
    if path.is_dir():
        if written.exists() and written.resolve() == path.resolve():
            raise InputError(f"{output} is the folder of the originals: give another --output")
        files = sorted(file for file in path.rglob("*") if _is_shard_by_name(file.name) and file.is_file())
        files = [file for file in files if not _hidden(file.relative_to(path)) and not _within(file, written)]
        if not files:
            return _cut(given, find_sources(given, direction, written), size, direction)
        others: list[Source] = []
        with contextlib.suppress(InputError):  # none at all
            others = [source for source in find_sources(given, "ab", written).files if not source.is_video]
        if others:
            wrong = f"{given} holds shards ({shown(files[0].name)}) and pictures ({shown(str(others[0].name))})"
            raise InputError(f"{wrong}: give one of them, such as '{given}/*{files[0].suffix}'")
        return _shard_files(files, path, written)
    if MAGIC & set(given):
        found = sorted(Path(match) for match in glob.glob(given, recursive=True))  # noqa: PTH207 (absolute patterns)
        files = [file for file in found if _is_shard_by_name(file.name) and file.is_file()]
        if files:
            files = [file for file in files if not _within(file, written)] or files
            return _shard_files(files, Path(*fixed_parts(path.parts[:-1])), written)
        raise InputError(f"no shards match {given}: give a folder, or a pattern of .parquet or .tar files")
    raise InputError(f"nothing is at {given}: give a shard, a folder, or an address such as s3://bucket/photos")


def _shard_files(files: Sequence[Path], base: Path, written: Path) -> list[Shard]:
    """Returns shards that are files.

    Raises:
        InputError: results would lie among them, and be taken for shards by the next command; or they are results
            already, made with different settings.
    """
    if written.exists() and any(written.resolve() == file.parent.resolve() for file in files):
        raise InputError(f"{written} is the folder of the originals: give another --output")
    entries = [store.Entry(file.relative_to(base).as_posix(), str(file), _identity_of(file)) for file in files]
    shards = [_shard_file(entry) for entry in entries]
    if shards:
        _require_one_kind_of_results([shard.name for shard in shards], str(base), files[0].suffix)
    return shards


def _require_one_kind_of_results(names: Sequence[str], folder: str, suffix: str) -> None:
    """Checks that names are not those of several calls' results, which must not be counted together. They are results
    where a manifest near them says what their digits stand for: others have digits in their names, too.

    Args:
        names: of shards or pictures, below the folder.
        folder: a path or an address.
        suffix: of the shards; empty for pictures.

    Raises:
        InputError: they are of different settings, or of different states of one folder of pictures.
    """
    made: dict[str, str] = {}
    places: set[PurePosixPath] = set()
    parts: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if match := _RESULT.search(name):
            made.setdefault(match[1] or match[2], f"**/*-{match[1]}{suffix}" if match[1] else name[: match.end()])
            places.add(PurePosixPath(name).parent if match[1] else PurePosixPath(name[: match.start(2)]))
        if match := _PART.match(name):
            parts.setdefault((match[1], match[2]), []).append(name)
    doubtful = [found for found in parts.values() if len(found) > 1]
    if len(made) < 2 and not doubtful:
        return
    manifests = _manifests(places, folder)
    known = {digits for digits in made if any(digits in settings for settings in manifests.values())}
    if len(known) > 1:
        one, two = sorted(known)[:2]
        raise InputError(
            f"{folder} holds results of {len(known)} checkpoints or settings, such as {one} and {two}: give those of "
            f"one, such as '{folder.rstrip('/')}/{made[one]}'"
        )
    for one, two, *_ in doubtful:
        sources = {_source(manifests, folder, name) for name in (one, two)}
        if len(sources) == 1:  # those of two folders with one output are another matter
            raise InputError(
                f"{folder} holds results of two states of one folder of pictures, {shown(one)} and {shown(two)}: "
                "remove those of the older one"
            )


def _manifests(places: Iterable[PurePosixPath], folder: str) -> dict[str, frozenset[str]]:
    """Returns those folders that hold a manifest, of some below a folder and all above them, with the digits that the
    manifest explains."""
    names = {place.as_posix() for lowest in places for place in (lowest, *lowest.parents)}
    near = [store.below(folder, name) if name != "." else folder for name in sorted(names)] + store.above(folder)
    found = {place: frozenset(store.stems(store.below(place, MANIFEST), SETTINGS)) for place in near}
    return {place: settings for place, settings in found.items() if settings}


def _source(manifests: Iterable[str], folder: str, name: str) -> str | None:
    """Returns the folder that a result was made of, as its row says."""
    address = store.below(folder, name)
    for place in manifests:
        if address.startswith(store.below(place, "")):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError, InputError):
                result = address[len(store.below(place, "")) :].lstrip("/")
                return str(json.loads(store.read_bytes(store.below(place, f"{MANIFEST}/{result}.json")))["source"])
    return None


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _within(file: Path, folder: Path) -> bool:
    return folder.exists() and file.resolve().is_relative_to(folder.resolve())


def _shard_file(file: store.Entry) -> Shard:
    suffix = PurePosixPath(file.name).suffix
    return Shard(file.name.removesuffix(suffix), _SUFFIXES[suffix.lower()], file.address, file.identity)


def _alone(path: Path) -> list[Shard]:
    if path.suffix.lower() in VIDEO_SUFFIXES or not is_picture_by_name(path):
        raise InputError(f"{path} is no shard and no picture: an engine takes .parquet, .tar, and folders of pictures")
    return [_group(str(path.parent), [store.Entry(path.name, str(path), _identity_of(path))], 0)]


def _identity_of(path: Path) -> str:
    found = store.entry(str(path))
    return found.identity if found else ""


def _cut(folder: str, sources: Sources, size: int, direction: Direction | None) -> list[Shard]:
    base = Path(folder)
    ways = {source.direction for source in sources.files}
    if len(ways) > 1 or (direction is None and ways != {"ab"}):
        raise InputError(f"{folder} holds pictures of both domains: give --direction, or the folder of one of them")
    entries = [
        store.Entry(source.name.as_posix(), str(source.path), _identity_of(base / source.name))
        for source in sources.files
        if not source.is_video
    ]
    if not entries:
        raise InputError(f"{folder} holds no picture: videos go without --engine")
    _require_one_kind_of_results([entry.name for entry in entries], folder, "")
    return _groups(folder, entries, size)


def _groups(folder: str, entries: Sequence[store.Entry], size: int) -> list[Shard]:
    return [_group(folder, entries[first : first + size], first) for first in range(0, len(entries), size)]


def _group(folder: str, entries: Sequence[store.Entry], first: int) -> Shard:
    names = [entry.name for entry in entries]
    known = hashlib.sha256("\0".join([*names, *(entry.identity for entry in entries)]).encode(errors="replace"))
    called = hashlib.sha256("\0".join(names).encode(errors="replace")).hexdigest()[:8]
    return Shard(f"pictures-{first:09d}-{called}", "folder", folder, known.hexdigest()[:32], first, tuple(names))


def _remote(given: str, output: str | None, size: int, direction: Direction | None) -> list[Shard]:
    folder = given.rstrip("/")
    if MAGIC & set(folder.partition("://")[2].partition("/")[0]):
        raise InputError(f"{given}: name the bucket or host, and give a pattern below it")
    if _is_shard_by_name(folder) and (found := store.entry(folder)):
        return [_shard_file(found)]
    folder, entries = _listed(folder)
    if output and output.startswith(f"{folder}/"):
        written = output[len(folder) + 1 :].rstrip("/")
        entries = [entry for entry in entries if not entry.name.startswith(f"{written}/")]
    elif output and output.rstrip("/") == folder:
        raise InputError(f"{output} is the folder of the originals: give another --output")
    shards = [_shard_file(entry) for entry in entries if _is_shard_by_name(entry.name)]
    pictures = [entry for entry in entries if is_picture_by_name(PurePosixPath(entry.name))]
    if not shards and not pictures:
        raise InputError(f"{given} holds no shard and no picture: {len(entries)} other files")
    if not shards:
        return _remote_pictures(folder, pictures, size, direction)
    ending = PurePosixPath(shards[0].address).suffix
    if pictures:
        wrong = f"{given} holds shards ({shown(shards[0].address)}) and pictures ({shown(pictures[0].address)})"
        raise InputError(f"{wrong}: give one of them, such as '{folder}/**/*{ending}'")
    _require_one_kind_of_results([shard.name for shard in shards], folder, ending)
    if output and any(output.rstrip("/") == shard.address.rpartition("/")[0] for shard in shards):
        raise InputError(f"{output} is the folder of the originals: give another --output")
    return shards


def _listed(given: str) -> tuple[str, list[store.Entry]]:
    """Returns a remote folder, or the fixed part of a pattern of shards, and what is in it."""
    if not MAGIC & set(given) or store.is_folder(given):
        return given, store.listed_below(given)
    folder, entries = store.matching(given)
    entries = [entry for entry in entries if _is_shard_by_name(entry.name)]
    if not entries:
        raise InputError(f"no shards match {given}: give a folder, or a pattern of .parquet or .tar files")
    return folder, entries


def _remote_pictures(
    folder: str, pictures: Sequence[store.Entry], size: int, direction: Direction | None
) -> list[Shard]:
    ways = {meant_for(PurePosixPath(entry.name)) for entry in pictures} - {None}
    if direction is None and ways:
        if ways != {"ab"}:
            raise InputError(f"{folder} holds pictures of both domains: give --direction, or the folder of one of them")
        pictures = [entry for entry in pictures if meant_for(PurePosixPath(entry.name))]
    _require_one_kind_of_results([entry.name for entry in pictures], folder, "")
    return _groups(folder, pictures, size)
