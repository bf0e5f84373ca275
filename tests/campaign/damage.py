"""Damage to files: where bits are flipped, and zips and JPEGs written in ways in which nobody writes them."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

Rewrite = Callable[[bytes], bytes]
_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def place(data: bytes | bytearray, where: str, share: float) -> int:
    """The bit at a share of a part of a zip: `anywhere`, `the directory` or `a local header`."""
    first, last = 0, len(data)
    if where == "the directory":
        first = data.rfind(_END)
        first = struct.unpack_from("<I", data, first + 16)[0]
    elif where == "a local header":
        headers = starts(bytes(data), _LOCAL)
        first = headers[int(share * len(headers))]
        last = first + 30
        share = share * len(headers) % 1
    return 8 * first + int(share * 8 * (last - first))


def starts(data: bytes, mark: bytes) -> list[int]:
    """Where a mark stands."""
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def members(data: bytes) -> list[tuple[str, bytes]]:
    """The members of a zip, in order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def zipped(files: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """A plain zip of such members."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return whole.getvalue()


def central(data: bytes, offset: int, form: str, value: int, which: int = 0) -> bytes:
    """A zip of which a field of a member's entry in the directory is another one."""
    return _field(data, _CENTRAL, offset, form, value, which)


def local(data: bytes, offset: int, form: str, value: int, which: int = 0) -> bytes:
    """The same of a member's own header."""
    return _field(data, _LOCAL, offset, form, value, which)


def end(data: bytes, offset: int, form: str, value: int) -> bytes:
    """The same of the record at the end."""
    at = data.rfind(_END) + offset
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


def _field(data: bytes, mark: bytes, offset: int, form: str, value: int, which: int) -> bytes:
    if mark == _CENTRAL:
        directory = struct.unpack_from("<I", data, data.rfind(_END) + 16)[0]
        found = [start for start in starts(data, mark) if start >= directory]
    else:
        found = starts(data, mark)
    at = found[which] + offset
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


def _bomb(data: bytes) -> bytes:
    return zipped([*members(data), ("archive/bomb", bytes(200 * 2**20))], zipfile.ZIP_DEFLATED)


REWRITES: dict[str, Rewrite] = {
    "a member more": lambda data: zipped([*members(data), ("archive/more", b"x")]),
    "its members compressed": lambda data: zipped(members(data), zipfile.ZIP_DEFLATED),
    "its members compressed in another way": lambda data: zipped(members(data), zipfile.ZIP_BZIP2),
    "its members in the reverse order": lambda data: zipped(members(data)[::-1]),
    "its first member twice": lambda data: zipped([members(data)[0], *members(data)]),
    "no last member": lambda data: zipped(members(data)[:-1]),
    "no first member": lambda data: zipped(members(data)[1:]),
    "an empty first member": lambda data: zipped([(members(data)[0][0], b""), *members(data)[1:]]),
    "its tensors exchanged": lambda data: zipped(_exchanged(members(data))),
    "its tensors cut": lambda data: zipped(
        [(name, content[: max(1, len(content) - 4)]) for name, content in members(data)]
    ),
    "members of another folder": lambda data: zipped([(f"x/{name}", content) for name, content in members(data)]),
    "a member that unpacks to 200 MB": _bomb,
    "an encryption flag": lambda data: central(data, 8, "<H", 1),
    "an unknown method": lambda data: central(data, 10, "<H", 99),
    "a size of 4 GB": lambda data: central(data, 24, "<I", 0xFFFFFFF0, which=3),
    "sizes of 4 GB": lambda data: central(central(data, 20, "<I", 0xFFFFFFF0, which=3), 24, "<I", 0xFFFFFFF0, which=3),
    "an offset beyond its end": lambda data: central(data, 42, "<I", 0x7FFFFFFF, which=3),
    "two members at one place": lambda data: central(data, 42, "<I", 0, which=2),
    "a checksum that is wrong": lambda data: central(data, 16, "<I", 1, which=3),
    "a directory that begins elsewhere": lambda data: end(data, 16, "<I", 5),
    "a directory of no members": lambda data: end(end(data, 8, "<H", 0), 10, "<H", 0),
    "a directory of fewer bytes": lambda data: end(data, 12, "<I", 46),
    "several disks": lambda data: end(data, 4, "<H", 7),
    "a comment that is longer than the file": lambda data: end(data, 20, "<H", 60_000),
    "a local method that contradicts": lambda data: local(data, 8, "<H", 8, which=3),
    "a local size that contradicts": lambda data: local(data, 22, "<I", 1, which=3),
    "a local name that contradicts": lambda data: local(data, 30, "<H", 0x5858, which=3),
    "a local extra field that is too long": lambda data: local(data, 28, "<H", 60_000, which=3),
}
"""Ways to write a zip anew; the members are what they were, or not."""


def _exchanged(files: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Two tensors of equal size change places."""
    tensors = [number for number, (name, _) in enumerate(files) if "/data/" in name]
    for one in tensors:
        for other in tensors:
            if one < other and len(files[one][1]) == len(files[other][1]) and files[one][1] != files[other][1]:
                exchanged = list(files)
                exchanged[one] = (files[one][0], files[other][1])
                exchanged[other] = (files[other][0], files[one][1])
                return exchanged
    return files


def segments(jpeg: bytes) -> list[tuple[int, int, int]]:
    """The marker segments of a JPEG up to its scan: marker, start and end."""
    found, at = [], 2
    while at < len(jpeg) - 4 and jpeg[at] == 0xFF:
        length = struct.unpack_from(">H", jpeg, at + 2)[0]
        found.append((jpeg[at + 1], at, at + 2 + length))
        at += 2 + length
        if found[-1][0] == 0xDA:
            break
    return found


def without(jpeg: bytes, marker: int, which: int = 0) -> bytes:
    """A JPEG without one of its segments."""
    own = [segment for segment in segments(jpeg) if segment[0] == marker]
    _, first, last = own[which]
    return jpeg[:first] + jpeg[last:]


def scan(jpeg: bytes) -> int:
    """Where the compressed pixels begin."""
    return segments(jpeg)[-1][2]


def checksum(data: bytes) -> int:
    """As zips hold it."""
    return zlib.crc32(data) & 0xFFFFFFFF
