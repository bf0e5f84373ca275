"""`images.zip`: how it is written, and what makes one valid."""

from __future__ import annotations

import contextlib
import io
import re
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from PIL import Image

from monet import jpeg
from monet.errors import InputError, shown
from monet.files import kind_of_mode, require_regular, written_whole
from monet.machine import available_processors
from monet.sizes import MAX_PIXELS, PROGRAMS, SIDE
from monet.threads import thread_pool
from monet.zips import Contradiction, end_faults, extent, read_member, unclaimed

Rules = Literal["kaggle", "any"]
Code = Literal["count", "name", "format", "size", "mode", "corrupt", "duplicate", "unsafe", "archive"]

KAGGLE_COUNT = range(7_000, 10_001)
"""How many images the competition takes."""
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_UNFIT = re.compile(r"^\.|[\x00-\x1f\\:\ud800-\udfff]")
"""Parts that no member's name may have: a leading dot, control characters, parts of a path, bytes that are no text."""
_LONGEST_NAME = 255
_MAX_MEMBER = 64 * 2**20
_MAX_RATIO = 200


class ArchiveWriter:
    """Adds JPEG files to a zip; made by `writing`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.count = 0

    def add(self, name: str, jpeg: bytes) -> None:
        """Adds one file. JPEG does not compress further, so it is stored as it is; times and modes are fixed, so that
        equal images make equal archives."""
        info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        self._archive.writestr(info, jpeg, compress_type=zipfile.ZIP_STORED)
        self.count += 1


@contextlib.contextmanager
def writing(path: Path) -> Iterator[ArchiveWriter]:
    """Opens an archive that takes its name only when it is complete.

    Raises:
        MonetError: it cannot be written; an archive that already has the name is untouched.
    """
    with written_whole(path) as file, zipfile.ZipFile(file, "w") as archive:
        yield ArchiveWriter(archive)


def is_archive(path: Path) -> bool:
    """Returns whether a file is a zip of images and nothing else, by its members' names: no checkpoint, for one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.lower().endswith(_IMAGE_SUFFIXES) for name in archive.namelist())
    except Exception:  # damaged zips make zipfile raise nearly anything  # noqa: BLE001
        return False


def member_names(photos: Iterable[Path]) -> list[str]:
    """Returns a flat, unique, plain name for each photo's painting: `<stem>.jpg`, with a number where stems meet, `_`
    for what an archive cannot hold, and without the end of a stem that is too long for a folder."""
    taken: set[str] = set()
    names = []
    for photo in photos:
        plain = _UNFIT.sub("_", photo.stem)
        name, number = _ended(plain, ".jpg"), 0
        while same_name(name) in taken:
            number += 1
            name = _ended(plain, f"-{number}.jpg")
        taken.add(same_name(name))
        names.append(name)
    return names


def _ended(stem: str, ending: str) -> str:
    """Returns a stem with an ending, no longer than a name may be."""
    room = _LONGEST_NAME - len(ending.encode())
    return stem.encode(errors="replace")[:room].decode(errors="ignore") + ending


def same_name(name: str) -> str:
    """Returns a key that is equal for names that are one where files are unpacked: in other case, or in another Unicode
    form."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


@dataclass(frozen=True)
class Problem:
    """One reason why an archive is not valid."""

    code: Code
    name: str
    """The member; empty where it is about the archive as a whole."""
    message: str


@dataclass
class Validation:
    """Result of a validation."""

    num_images: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """No problem was found."""
        return not self.problems


def validate(path: Path, rules: Rules = "kaggle", *, workers: int | None = None) -> Validation:
    """Checks every member of an archive.

    Args:
        path: the zip.
        rules: `kaggle`: 7,000 to 10,000 images, 256×256, RGB, JPEG by content; `any`: at least one image, each whole.
            Both ask for flat, unique, safe names, and for no encrypted or oversized members.
        workers: decoding threads; by default one a processor.

    Raises:
        InputError: there is no such file, or it is not a zip that can be read.
    """
    require_regular(path)
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            return _validate(file, archive, rules, workers or available_processors())
    except FileNotFoundError:
        raise InputError(f"no archive {path}: give the path of a zip") from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise InputError(f"{path} is not a zip that can be read ({error}): write it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _validate(file: IO[bytes], archive: zipfile.ZipFile, rules: Rules, workers: int) -> Validation:
    members = archive.infolist()
    found = Validation(problems=[Problem("archive", "", fault) for fault in _structure_faults(file, archive)])
    safe = []
    for member in members:
        problem = _name_problem(member) or safety_problem(member)
        if problem:
            found.problems.append(problem)
        else:
            safe.append(member)
    found.problems += _duplicates(members)
    found.num_images = len(safe)
    found.problems += _image_problems(file, archive, safe, rules, workers)
    if rules == "kaggle" and found.num_images not in KAGGLE_COUNT:
        least, most = KAGGLE_COUNT[0], KAGGLE_COUNT[-1]
        found.problems.append(Problem("count", "", f"{found.num_images} images: expected {least} to {most}"))
    elif found.num_images == 0:
        found.problems.append(Problem("count", "", "no images: expected at least one"))
    return found


def _structure_faults(file: IO[bytes], archive: zipfile.ZipFile) -> list[str]:
    """Finds problems of an archive as a whole."""
    faults = list(end_faults(file, len(archive.infolist())))
    try:
        extents = [extent(file, member) for member in archive.infolist()]
    except Contradiction:
        return faults  # said of the member itself
    return faults + list(unclaimed(extents, archive.start_dir))


def _duplicates(members: Iterable[zipfile.ZipInfo]) -> list[Problem]:
    """Returns the names that several members have."""
    named: dict[str, list[str]] = {}
    for member in members:
        named.setdefault(same_name(member.filename), []).append(member.filename)
    return [
        Problem("duplicate", names[-1], f"{len(names)} members have this name, but for case and Unicode form")
        for names in named.values()
        if len(names) > 1
    ]


def _name_problem(member: zipfile.ZipInfo) -> Problem | None:
    """Returns what is wrong with a name, which must be flat, plain and that of an image."""
    name = member.orig_filename
    if not member.filename:
        return Problem("name", shown(name), "the member has no name")
    if len(name.encode(errors="replace")) > _LONGEST_NAME:
        return Problem("name", shown(name), f"the name is longer than {_LONGEST_NAME} bytes: no folder takes it")
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":" or "\0" in name:
        return Problem("unsafe", name, "the name leads out of the folder")
    if member.is_dir() or len(parts) != 1:
        return Problem("name", name, "the name is not flat: expected image files at the top of the archive")
    if name.startswith(".") or any(ord(character) < 32 for character in name):
        return Problem("name", name, "the name is hidden or holds control characters")
    if not name.lower().endswith(_IMAGE_SUFFIXES):
        return Problem("name", name, "the name is not that of an image")
    return None


def safety_problem(member: zipfile.ZipInfo) -> Problem | None:
    """Returns why a member must not be unpacked, if it is encrypted, no regular file, or a zip bomb."""
    if member.flag_bits & 0x1:
        return Problem("unsafe", member.filename, "the member is encrypted")
    mode, attributes = member.external_attr >> 16, member.external_attr & 0xFFFF
    kind = kind_of_mode(mode) if stat.S_IFMT(mode) else None
    if attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT:
        kind = "a link"
    elif attributes & stat.FILE_ATTRIBUTE_DIRECTORY:
        kind = "a folder"
    if kind and not member.is_dir():
        return Problem("unsafe", member.filename, f"the member is {kind}")
    if member.compress_size > _MAX_MEMBER:
        return Problem("unsafe", member.filename, f"the member takes {member.compress_size} bytes: too large")
    if member.file_size > _MAX_MEMBER or member.file_size > _MAX_RATIO * max(member.compress_size, 1):
        return Problem("unsafe", member.filename, f"the member unpacks to {member.file_size} bytes: a zip bomb")
    return None


def _image_problems(
    file: IO[bytes], archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], rules: Rules, workers: int
) -> list[Problem]:
    """Decodes every member, a few at a time, so that memory does not grow with the archive."""
    problems: list[Problem] = []
    waiting: list[Future[Problem | None]] = []

    def collect(most: int) -> None:
        while len(waiting) > most:
            if (problem := waiting.pop(0).result()) is not None:
                problems.append(problem)

    with thread_pool(workers) as pool:
        for member in members:
            try:
                data = read_member(file, archive, member)
            except Exception as error:  # damaged members make zipfile and its decompressors raise nearly anything  # noqa: BLE001
                problems.append(Problem("corrupt", member.filename, f"cannot be unpacked: {error}"))
                continue
            waiting.append(pool.submit(_image_problem, member.filename, data, rules))
            collect(4 * workers)
        collect(0)
    return problems


def _image_problem(name: str, data: bytes, rules: Rules) -> Problem | None:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if rules == "kaggle" and image.format != "JPEG":
                return Problem("format", name, f"{image.format} by content: expected JPEG")
            if rules == "kaggle" and image.size != (SIDE, SIDE):
                return Problem("size", name, f"{image.width}×{image.height}: expected {SIDE}×{SIDE}")
            if rules == "kaggle" and image.mode != "RGB":
                return Problem("mode", name, f"mode {image.mode}: expected RGB")
            if image.format in PROGRAMS:
                return Problem("unsafe", name, f"a program in {image.format}, no image")
            if image.width * image.height > MAX_PIXELS:
                return Problem("unsafe", name, f"{image.width}×{image.height}: too large to decode")
            image.load()
        if data.startswith(jpeg.START) and (fault := jpeg.damage(data)):
            return Problem("corrupt", name, fault)
    except Image.DecompressionBombError:
        return Problem("unsafe", name, "too large to decode")
    except Exception as error:  # damaged images make Pillow raise nearly anything  # noqa: BLE001
        code: Code = "corrupt" if data[:2] == b"\xff\xd8" or rules == "any" else "format"
        return Problem(code, name, f"cannot be decoded: {error or type(error).__name__}")
    return None
