"""Which files a translation reads, and what it calls what it writes."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Literal

from PIL import Image

from monet.data.decode import UnreadableImage, read_size
from monet.data.pictures import SUFFIXES
from monet.data.video import WRITTEN
from monet.errors import InputError, shown
from monet.models import Direction

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp", ".ogv")
)
PictureSuffix = Literal["keep", "jpg", "png", "webp", "tif", "bmp"]
"""`keep`: the name's own ending, where pictures can be written in its format, else png."""

_CONVENTION: dict[str, Direction] = {
    **dict.fromkeys(("A_type", "trainA", "testA"), "ab"),
    **dict.fromkeys(("B_type", "trainB", "testB"), "ba"),
}
"""Folders whose pictures are translated each in its direction."""
_NO_PICTURES = ("EPS", "MPEG", "WMF", "FITS", "HDF5", "GRIB", "BUFR")
"""Formats that Pillow opens, or says that it does, and that are no pictures of pixels."""
MAGIC = frozenset("*?[")
"""What makes a name a pattern."""


@dataclass(frozen=True)
class Source:
    """A file that is translated."""

    path: Path
    name: PurePath
    """Its name below the input: what it writes has the same place below the output."""
    direction: Direction

    @property
    def is_video(self) -> bool:
        """It is a video, by its name."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


@dataclass(frozen=True)
class Sources:
    """What an input holds."""

    files: tuple[Source, ...]
    """In the order of their names."""
    set_aside: tuple[Path, ...]
    """Files that are neither pictures nor videos, by their names and their first bytes."""


def find_sources(given: str, direction: Direction | None, output: Path) -> Sources:
    """Finds the files of an input.

    Args:
        given: a file, a folder (with those below it), or a pattern such as `photos/**/*.jpg`. Hidden files are left
            out; links are followed, but no folder is entered twice.
        direction: of all files. None: `ab`; but where a folder holds `A_type/` or `B_type/`, or `trainA/`, `testA/`,
            `trainB/` or `testB/`, those alone are taken: the files of A in the direction `ab`, those of B in `ba`.
        output: a folder that is not entered.

    Raises:
        InputError: nothing is there.
    """
    path = Path(given)
    if path.is_dir():
        if _identity(path) == _identity(output):
            raise InputError(f"{output} is the folder of the originals: give another --output")
        found = list(_in_folder(path, direction, output))
    elif os.path.lexists(path):
        return Sources((Source(path, PurePath(path.name), direction or "ab"),), ())
    elif MAGIC & set(given):
        found = list(_matching(given, direction or "ab", output))
    else:
        raise InputError(f"no file or folder {given}: give one, or a pattern in quotes, such as 'photos/*.jpg'")
    taken = [source for source in found if source.is_video or _is_picture(source.path)]
    if not taken:
        raise InputError(f"{given} holds no picture and no video: {len(found)} other files")
    kept = set(taken)
    return Sources(tuple(taken), tuple(source.path for source in found if source not in kept))


def output_names(sources: Sequence[Source], suffix: PictureSuffix) -> list[PurePath]:
    """Returns the names of what is written, below the output: those of the sources, with another ending where another
    format is asked for. Where two would be the same, or differ in case alone, the later one gets its whole old name
    before the ending (`a.png.jpg`), and a number where that is not enough."""
    wanted = [_renamed(source, suffix) for source in sources]
    unchanged = {_key(name) for source, name in zip(sources, wanted, strict=True) if name == source.name}
    taken: set[str] = set()
    tried: Counter[PurePath] = Counter()
    names = []
    for source, name in zip(sources, wanted, strict=True):
        for choice in _choices(source, name, tried):
            free = _key(choice) not in taken and (choice == source.name or _key(choice) not in unchanged)
            if free:
                break
        taken.add(_key(choice))
        names.append(choice)
    return names


def _choices(source: Source, name: PurePath, tried: Counter[PurePath]) -> Iterator[PurePath]:
    """Returns names, the best first; a number that was tried for an equal name is not tried again."""
    yield name
    longer = source.name.with_name(source.name.name + name.suffix)
    yield longer
    while True:
        tried[longer] += 1
        yield longer.with_name(f"{source.name.name}-{tried[longer] + 1}{name.suffix}")


def _renamed(source: Source, suffix: PictureSuffix) -> PurePath:
    own = source.name.suffix.lower()
    wanted = f".{suffix}"
    if source.is_video:
        return source.name if own in WRITTEN else source.name.with_suffix(".mp4")
    if SUFFIXES.get(own) == SUFFIXES.get(own if suffix == "keep" else wanted, ""):
        return source.name
    return source.name.with_name(source.name.stem + (".png" if suffix == "keep" else wanted))


def _key(name: PurePath) -> str:
    """Returns what names have in common that some file systems take for one."""
    return unicodedata.normalize("NFC", str(name)).casefold()


def meant_for(name: PurePath) -> Direction | None:
    """Returns the direction that a picture's place below the input asks for, such as that of `trainB/1.jpg`."""
    return _CONVENTION.get(name.parts[0]) if len(name.parts) > 1 else None


def _in_folder(folder: Path, direction: Direction | None, output: Path) -> Iterator[Source]:
    parts = {name: way for name, way in _CONVENTION.items() if (folder / name).is_dir()}
    if direction or not parts:
        yield from _below(folder, folder, direction or "ab", output)
        return
    for name, way in parts.items():
        yield from _below(folder / name, folder, way, output)


def _matching(pattern: str, direction: Direction, output: Path) -> Iterator[Source]:
    base = Path(*fixed_parts(PurePath(pattern).parts[:-1]))
    seen: set[tuple[tuple[int, int] | None, str]] = set()
    written = _identity(output)
    for match in sorted(glob.glob(pattern, recursive=True), key=_by_depth):  # noqa: PTH207 (Path.glob: no absolute ones)
        path = Path(match)
        files = [Source(path, path.relative_to(base), direction)]
        for source in _below(path, base, direction, output) if path.is_dir() else files:
            folders = [_identity(folder) for folder in source.path.absolute().parents]
            place = (folders[0], source.path.name)
            if place not in seen and (written is None or written not in folders):
                seen.add(place)
                yield source


def _by_depth(name: str) -> tuple[int, str]:
    """Sorts names by their depth: of several ways to a file the shortest one counts."""
    return len(PurePath(name).parts), name


def fixed_parts(parts: Sequence[str]) -> Iterator[str]:
    """Returns the parts of a pattern before the first one that is no plain name."""
    for part in parts:
        if MAGIC & set(part):
            return
        yield part


def _below(folder: Path, base: Path, direction: Direction, output: Path) -> Iterator[Source]:
    """Returns the files in a folder and in those below it, by name; each folder once, by whatever links it is found."""
    entered = {identity for identity in [_identity(output)] if identity}
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        identity = _identity(here)
        if identity is None or identity in entered:
            continue
        entered.add(identity)
        try:
            entries = sorted(here.iterdir(), key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(f"folder {here} cannot be read: {error.strerror}") from error
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        yield from (Source(entry, entry.relative_to(base), direction) for entry in visible if not entry.is_dir())
        waiting += [entry for entry in reversed(visible) if entry.is_dir()]


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what a folder is the same by under every name; None where it cannot be reached."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_picture_by_name(path: PurePath) -> bool:
    """Returns whether a name has the ending of a picture that can be read."""
    return path.suffix.lower() in _picture_suffixes()


def _is_picture(path: Path) -> bool:
    """Returns whether a file is one by its name's ending, or, where that says nothing, by its first bytes."""
    if is_picture_by_name(path):
        return True
    if path.suffix.lower() in Image.registered_extensions():
        return False
    try:
        read_size(path)
    except UnreadableImage:
        return False
    return True


@cache
def _picture_suffixes() -> frozenset[str]:
    kinds = Image.registered_extensions().items()  # loads Pillow's plugins
    return frozenset(suffix for suffix, kind in kinds if kind in Image.OPEN and kind not in _NO_PICTURES)


def listed(paths: Sequence[Path], most: int = 3) -> str:
    """Returns some names in a line."""
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(shown(str(path)) for path in paths[:most]) + more
