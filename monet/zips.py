"""Checks that Python's zipfile leaves out: a zip says most things twice, and readers differ in which they use."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

_LOCAL = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")
_END_64_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 0xFFFF
_IN_ZIP64 = 0xFFFFFFFF
"""Stands in a field of 32 bits whose value is in the zip64 extra field."""
_IN_ZIP64_SHORT = 0xFFFF
"""The same in a field of 16 bits."""
_ZIP64 = 1
"""The kind of that extra field."""
_ENCRYPTION = 0x1 | 0x40 | 0x2000
_DESCRIPTOR, _UTF8 = 0x8, 0x800
_DESCRIPTOR_SIGNATURE = b"PK\x07\x08"


class Contradiction(Exception):
    """A zip says two things about one member; the message says which."""


@dataclass(frozen=True)
class Extent:
    """Where a member lies in the file, its header and what follows its data included."""

    start: int
    data: int
    end: int


def extent(file: IO[bytes], member: zipfile.ZipInfo) -> Extent:  # noqa: C901
    """Finds a member, and compares its own header with what the directory says.

    Args:
        file: the archive.
        member: as the directory has it.

    Raises:
        Contradiction: they differ in name, method, encryption, checksum or size, or it has no header in this file.
    """
    if member.volume not in (0, _IN_ZIP64_SHORT):
        raise Contradiction("it lies in another part of the archive")
    try:
        file.seek(member.header_offset)
    except (OverflowError, ValueError, OSError):
        raise Contradiction("there is no header where the directory says") from None
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        raise Contradiction("there is no header where the directory says")
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(header)
    name, extra = file.read(name_length), file.read(extra_length)
    if name.decode("utf-8" if flags & _UTF8 else "cp437", "replace") != member.orig_filename:
        raise Contradiction("its header has another name than the directory")
    if method != member.compress_type:
        raise Contradiction("its header has another compression method than the directory")
    if (flags ^ member.flag_bits) & _ENCRYPTION:
        raise Contradiction("its header and the directory differ in whether it is encrypted")
    if _IN_ZIP64 in (packed, size):
        packed, size = _zip64_sizes(extra, packed, size)
    data = member.header_offset + _LOCAL.size + name_length + extra_length
    end = data + member.compress_size
    expected = (member.CRC, member.compress_size, member.file_size)
    if flags & _DESCRIPTOR:  # the header may leave these open; they follow the data
        if any(found not in (0, right) for found, right in zip((crc, packed, size), expected, strict=True)):
            raise Contradiction("its header has another checksum or size than the directory")
        return Extent(member.header_offset, data, end + _descriptor_length(file, end, expected))
    if (crc, packed, size) != expected:
        raise Contradiction("its header has another checksum or size than the directory")
    return Extent(member.header_offset, data, end)


def _zip64_sizes(extra: bytes, packed: int, size: int) -> tuple[int, int]:
    """Returns compressed and whole size from the extra fields of a member's header, which has both there or none."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == _ZIP64 and length >= 16 and position + 20 <= len(extra):
            large_size, large_packed = struct.unpack_from("<2Q", extra, position + 4)
            return (large_packed if packed == _IN_ZIP64 else packed, large_size if size == _IN_ZIP64 else size)
        position += 4 + length
    raise Contradiction("its header promises a size that is not there")


def _descriptor_length(file: IO[bytes], position: int, expected: tuple[int, int, int]) -> int:
    """Returns the length of the record after a member's data: with or without a signature, with sizes of 32 or 64
    bits."""
    file.seek(position)
    found = file.read(24)
    for signature in (_DESCRIPTOR_SIGNATURE, b""):
        for form in ("<LQQ", "<LLL"):
            try:
                record = signature + struct.pack(form, *expected)
            except struct.error:  # a size of more than 32 bits
                continue
            if found.startswith(record):
                return len(record)
    raise Contradiction("the record after its data has another checksum or size than the directory")


def unclaimed(extents: Sequence[Extent], directory: int) -> Iterator[str]:
    """Returns bytes before the directory that belong to no member or to two: one reader passes over them, another does
    not.

    Args:
        extents: of all members.
        directory: where it starts.
    """
    position = 0
    for found in [*sorted(extents, key=lambda one: (one.start, one.end)), Extent(directory, directory, directory)]:
        if found.start > position:
            yield f"{found.start - position} bytes from {position} on belong to no member"
        elif found.start < position:
            yield f"{position - found.start} bytes from {found.start} on belong to more than one member"
        position = max(position, found.end)


def end_faults(file: IO[bytes], members: int) -> Iterator[str]:
    """Returns the fault in the record at the end of an archive.

    Args:
        file: the archive.
        members: how many the directory holds.
    """
    length = file.seek(0, 2)
    start = max(0, length - _LONGEST_COMMENT - _END.size)
    file.seek(start)
    tail = file.read()
    ends = [
        position
        for position in _positions(tail, b"PK\x05\x06")
        if position + _END.size <= len(tail)
        and position + _END.size + _END.unpack_from(tail, position)[-1] == len(tail)
    ]
    if len(ends) != 1:
        yield "it has two ends" if ends else "something follows its end"
        return
    _, *fields, _ = _END.unpack_from(tail, ends[0])
    try:
        large = _zip64_end(file, start + ends[0])
    except Contradiction as error:
        yield str(error)
        return
    most = (_IN_ZIP64_SHORT,) * 4 + (_IN_ZIP64,) * 2
    if large and any(small not in (value, limit) for small, value, limit in zip(fields, large, most, strict=True)):
        yield "its two end records differ"
    disk, directory_disk, here, total, *_ = large or fields
    if disk or directory_disk:
        yield "it is a part of several"
    if here != total or total != members:
        yield f"its directory holds {members} members, its end record says {total}"


def _positions(data: bytes, wanted: bytes) -> Iterator[int]:
    position = data.find(wanted)
    while position >= 0:
        yield position
        position = data.find(wanted, position + 1)


def _zip64_end(file: IO[bytes], end: int) -> tuple[int, ...] | None:
    """Returns the fields of the end record's larger twin; None where there is none."""
    position = end - _END_64_LOCATOR.size - _END_64.size
    if position < 0:
        return None
    file.seek(position)
    record = file.read(_END_64.size)
    signature, _, offset, _ = _END_64_LOCATOR.unpack(file.read(_END_64_LOCATOR.size))
    if signature != b"PK\x06\x07":
        return None
    if offset != position or record[:4] != b"PK\x06\x06":
        raise Contradiction("its large end record is not where it should be")
    return _END_64.unpack(record)[4:]


def read_member(file: IO[bytes], archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Unpacks a member; no more than its size in the directory, and than the archive holds of it, goes into memory.

    Raises:
        Contradiction: there is more or less in it than the directory says.
        Exception: nearly anything else, where its data are damaged.
    """
    start = extent(file, member).data
    if start + member.compress_size > file.seek(0, 2):
        raise Contradiction("its data reach beyond the end of the archive")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return archive.read(member)
    file.seek(start)
    data = file.read(member.compress_size)
    if member.compress_type == zipfile.ZIP_DEFLATED:
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        data = unpacking.decompress(data, member.file_size + 1)
        if not unpacking.eof or unpacking.unused_data:
            raise Contradiction("its data have another length than the directory says")
    if len(data) != member.file_size:
        raise Contradiction("its data have another length than the directory says")
    if zlib.crc32(data) != member.CRC:
        raise Contradiction("its data have another checksum than the directory says")
    return data
