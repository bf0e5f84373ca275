from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from monet.archive import validate
from monet.errors import InputError
from monet.scoring.images import open_images
from monet.zips import Contradiction, extent
from tests.test_archive import jpeg

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


class Stream(io.RawIOBase):
    """A file that cannot be sought in, so that sizes follow the data."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return self._file.write(data)


def packed(method: int = STORED, *, streamed: bool = False, large: bool = False, comment: bytes = b"") -> bytes:
    """Three images in an archive."""
    whole = io.BytesIO()
    with zipfile.ZipFile(Stream(whole) if streamed else whole, "w") as archive:
        for name in ("0.jpg", "é.jpg", "2.jpg"):
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            with archive.open(info, "w", force_zip64=large) as member:
                member.write(jpeg())
        archive.comment = comment
    return whole.getvalue()


def places(data: bytes) -> tuple[int, int]:
    """Where the second member's own header is, and its entry in the directory."""
    directory = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    return struct.unpack_from("<L", data, directory + 42)[0], directory


def found(tmp_path: Path, data: bytes) -> list[tuple[str, str]]:
    (tmp_path / "x.zip").write_bytes(data)
    return [(problem.code, problem.name) for problem in validate(tmp_path / "x.zip", "any").problems]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("method", [STORED, DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_whatever_a_writer_may_choose_is_valid(tmp_path: Path, method: int, streamed: bool, large: bool) -> None:
    assert found(tmp_path, packed(method, streamed=streamed, large=large)) == []
    assert found(tmp_path, packed(method, streamed=streamed, large=large, comment=b"a comment")) == []


HEADER_FIELDS = {
    "signature": range(4),
    "encryption": range(6, 7),
    "method": range(8, 10),
    "checksum": range(14, 18),
    "compressed size": range(18, 22),
    "size": range(22, 26),
    "length of the name": range(26, 28),
    "name": range(30, 36),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("field", HEADER_FIELDS)
def test_a_header_that_contradicts_the_directory_is_corrupt(tmp_path: Path, field: str, streamed: bool) -> None:
    data = packed(streamed=streamed)
    header, _ = places(data)
    for position in HEADER_FIELDS[field]:
        changed = bytearray(data)
        changed[header + position] ^= 1
        assert found(tmp_path, bytes(changed)) == [("corrupt", "é.jpg")], position


@pytest.mark.parametrize("field", ["checksum", "compressed size", "size"])
def test_a_record_after_the_data_that_contradicts_the_directory_is_corrupt(tmp_path: Path, field: str) -> None:
    data = bytearray(packed(streamed=True))
    record = data.index(b"PK\x07\x08", places(bytes(data))[0])
    data[record + 4 + 4 * ["checksum", "compressed size", "size"].index(field)] ^= 1
    assert found(tmp_path, bytes(data)) == [("corrupt", "é.jpg")]


def test_sizes_of_64_bits_that_contradict_the_directory_are_corrupt(tmp_path: Path) -> None:
    data = bytearray(packed(large=True))
    header, _ = places(bytes(data))
    extra = header + 30 + len("é.jpg".encode())
    assert data[extra : extra + 2] == b"\x01\x00"
    if data[header + 18 : header + 22] != b"\xff" * 4:
        pytest.skip("this Python (before 3.11.4) writes sizes of 32 bits beside them, and those count")
    for position in (extra, extra + 4, extra + 12):  # the field's kind, the size, the compressed size
        changed = bytearray(data)
        changed[position] ^= 1
        assert found(tmp_path, bytes(changed)) == [("corrupt", "é.jpg")]


@pytest.mark.parametrize("method", [STORED, DEFLATED])
@pytest.mark.parametrize("more", [-1, 1, 1000])
def test_data_of_another_length_than_said_are_corrupt(tmp_path: Path, method: int, more: int) -> None:
    data = bytearray(packed(method))
    for start in (places(bytes(data))[0] + 22, places(bytes(data))[1] + 24):  # the size, in both headers
        struct.pack_into("<L", data, start, struct.unpack_from("<L", data, start)[0] + more)
    assert found(tmp_path, bytes(data)) == [("corrupt", "é.jpg")]


def moved(data: bytes, by: int) -> bytes:
    """The directory says that the second member is somewhere else."""
    changed = bytearray(data)
    _, directory = places(data)
    struct.pack_into("<L", changed, directory + 42, struct.unpack_from("<L", data, directory + 42)[0] + by)
    return bytes(changed)


def test_a_member_that_is_not_where_the_directory_says_is_corrupt(tmp_path: Path) -> None:
    assert found(tmp_path, moved(packed(), 1)) == [("corrupt", "é.jpg")]
    assert found(tmp_path, moved(packed(), 10_000_000)) == [("corrupt", "é.jpg")]


@pytest.mark.parametrize("offset", [-1, 2**40, 2**63, 2**64 - 1])
def test_an_offset_that_no_file_has_is_a_contradiction(offset: int) -> None:
    member = zipfile.ZipInfo("0.jpg")
    member.header_offset, member.volume = offset, 0
    with pytest.raises(Contradiction, match="there is no header where the directory says"):
        extent(io.BytesIO(packed()), member)


def with_prefix(data: bytes) -> bytes:
    return b"#!/bin/sh\n" + data


def with_a_suffix(data: bytes) -> bytes:
    return data + b"more"


def with_a_second_end(data: bytes) -> bytes:
    """The comment of an archive holds the directory and the end of another."""
    directory = data[data.index(b"PK\x01\x02") : -22]
    end = data[-22:-6] + struct.pack("<LH", len(data), 0)
    return data[:-2] + struct.pack("<H", len(directory + end)) + directory + end


def with_a_gap(data: bytes) -> bytes:
    """Something that no member owns lies before the directory."""
    directory = data.index(b"PK\x01\x02")
    changed = bytearray(data[:directory] + b"hidden" + data[directory:])
    struct.pack_into("<L", changed, len(changed) - 6, directory + len(b"hidden"))
    return bytes(changed)


def with_an_overlap(data: bytes) -> bytes:
    """Two members share their bytes."""
    first, second = data.index(b"PK\x01\x02"), places(data)[1]
    changed = bytearray(data[:second] + data[first:second] + data[second:])
    end = len(changed) - 22
    struct.pack_into("<2HL", changed, end + 8, 4, 4, end - first)
    return bytes(changed)


def with_another_count(data: bytes) -> bytes:
    return data[:-12] + struct.pack("<H", 2) + data[-10:]


def of_several_parts(data: bytes) -> bytes:
    return data[:-18] + struct.pack("<H", 1) + data[-16:]


def with_another_large_end(data: bytes) -> bytes:
    """A record of 64 bits that not every reader looks at, and that says something else than the one of 32 bits."""
    disk, other, here, total, size, start, _ = struct.unpack("<4H2LH", data[-18:])
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, disk, other, here, total + 1, size, start)
    return data[:-22] + record + struct.pack("<4sLQL", b"PK\x06\x07", 0, len(data) - 22, 1) + data[-22:]


@pytest.mark.parametrize(
    "change",
    [
        with_prefix,
        with_a_suffix,
        with_a_second_end,
        with_a_gap,
        with_an_overlap,
        with_another_count,
        of_several_parts,
        with_another_large_end,
    ],
    ids=lambda change: change.__name__,
)
def test_an_archive_that_readers_may_understand_in_two_ways_is_not_valid(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    assert ("archive", "") in found(tmp_path, change(packed()))


def test_a_flipped_bit_in_the_directory_never_passes_as_another_archive(tmp_path: Path) -> None:
    """What may change is what says nothing of the content: times, versions, attributes, hints."""
    data = packed(DEFLATED)
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    names = set(zipfile.ZipFile(path).namelist())
    for position in range(data.index(b"PK\x01\x02"), len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            report = validate(path, "any")
        except InputError:
            continue
        with zipfile.ZipFile(path) as archive:
            assert not report.valid or {archive.read(name) for name in names} == {jpeg()}, position


@pytest.mark.parametrize("field", ["method", "checksum", "size", "name"])
def test_what_contradicts_itself_is_not_scored(tmp_path: Path, field: str) -> None:
    data = bytearray(packed())
    data[places(bytes(data))[0] + HEADER_FIELDS[field][0]] ^= 1
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"é.jpg in .*x.zip cannot be unpacked: its header"):
        list(open_images(path).files())
