"""Shards, read and written: Parquet, tar (WebDataset), and files of a folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO, Any, Protocol

from monet.errors import InputError, MonetError, first_line
from monet.inference.sources import is_picture_by_name
from monet.shards import store
from monet.shards.find import Kind, Shard
from monet.shards.libraries import library
from monet.shards.rows import OK, Item, Painted, reason, unsafe

COLUMNS = ("id", "name", "bytes", "sha256", "status")
"""Of a Parquet shard. Numbers, not names, identify rows: texts cost an engine gigabytes where there are many."""
_NAMES_AT_A_TIME = 8
_OF_ONE_FILE = (errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EIO)
"""Errors that the next file need not have; others end the command: they say nothing of this one."""
_MOST_NAMES = 2**26
"""Characters of all names of a shard."""
_MOST_PICTURE = 2**29
"""Bytes of a file; no picture that can be read needs as many."""
_MOST_GROUP = 2**32
"""Bytes of a row group, unpacked, that is read."""
_OF_A_NAME = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
"""Errors of a single file's name, as where another one is a folder."""
_FLUSH_BYTES = 2**24
_FLUSH_ROWS = 256


class DamagedShard(Exception):
    """A shard that cannot be read at all, or not to its end; the message is the reason alone."""


class ShardReader(Protocol):
    """A shard that is open."""

    def names(self) -> list[str]:
        """Returns the names of all its pictures, in order."""

    def items(self) -> Iterator[Item]:
        """Returns its pictures, in order; few of them are in memory."""


class ShardWriter(Protocol):
    """A result that is being written."""

    def add(self, painted: Painted) -> str | None:
        """Adds a row; returns why there is no place for its picture, where there is none."""


@contextlib.contextmanager
def reading(shard: Shard) -> Iterator[ShardReader]:
    """Opens a shard.

    Raises:
        DamagedShard: it is gone, or not what its name says; also while it is read.
        MonetError: its store does not answer.
    """
    if shard.kind == "folder":
        yield _Folder(shard)
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(store.opened(shard.address))
        except (OSError, InputError) as error:
            raise DamagedShard(reason(getattr(error, "strerror", None) or str(error)).lower()) from error
        yield _Parquet(file) if shard.kind == "parquet" else _Tar(file)


@contextlib.contextmanager
def writing(kind: Kind, address: str) -> Iterator[ShardWriter]:
    """Opens a result, which takes its name when it is complete; in a folder, each file its own.

    Args:
        kind: of the result.
        address: of the file, or of the folder.

    Raises:
        MonetError: it cannot be written.
    """
    if kind == "folder":
        yield _FolderWriter(address)
        return
    with store.written(address) as file:
        if kind == "parquet":
            with _ParquetWriter.opened(file) as writer:
                yield writer
        else:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
                yield _TarWriter(archive)


class _Parquet:
    def __init__(self, file: IO[bytes]) -> None:
        parquet = library("pyarrow.parquet")
        try:
            self._file = parquet.ParquetFile(file, page_checksum_verification=True)
            fields = {field.name: field.type for field in self._file.schema_arrow}
            groups = [self._file.metadata.row_group(index) for index in range(self._file.metadata.num_row_groups)]
        except Exception as error:  # pyarrow raises nearly anything on damaged files
            raise DamagedShard(f"no Parquet file: {reason(first_line(error))}") from error
        kinds = library("pyarrow").types
        is_text, is_bytes = (kinds.is_string, kinds.is_large_string), (kinds.is_binary, kinds.is_large_binary)
        self._require(fields, "id", (lambda kind: kinds.is_integer(kind) and not kinds.is_uint64(kind),), "int64")
        self._require(fields, "name", is_text, "text")
        self._require(fields, "bytes", is_bytes, "binary")
        for name in ("sha256", "status"):
            if name in fields:
                self._require(fields, name, is_text, "text")
        self._columns = [name for name in COLUMNS if name in fields]
        if any(group.total_byte_size > _MOST_GROUP for group in groups):
            raise DamagedShard(f"a row group of more than {_MOST_GROUP >> 30} GiB: write smaller ones")

    @staticmethod
    def _require(fields: dict[str, Any], name: str, kinds: Iterable[Any], wanted: str) -> None:
        if name not in fields:
            raise DamagedShard(f"no column {name}: it needs id (int64), name (text) and bytes (binary)")
        if not any(is_kind(fields[name]) for is_kind in kinds):
            raise DamagedShard(f"column {name} is {fields[name]}: it has to be {wanted}")

    def names(self) -> list[str]:
        names: list[str] = []
        length = 0
        for row in self._rows(["name"], _NAMES_AT_A_TIME):
            names.append(str(row["name"] or ""))
            length += len(names[-1])
            if length > _MOST_NAMES:
                raise DamagedShard(f"names of more than {_MOST_NAMES:,} characters: write smaller shards")
        return names

    def items(self) -> Iterator[Item]:
        for place, row in enumerate(self._rows(self._columns, 1)):  # a dictionary of few bytes can hold many large rows
            data: Any = row["bytes"]
            status, expected = row.get("status"), row.get("sha256")
            problem: str | None = None
            if status not in (None, OK):
                problem = reason(status)
            elif data is None:
                problem = "no bytes"
            elif len(data) > _MOST_PICTURE:
                data, problem = None, f"{len(data):,} bytes are too many"
            elif expected and expected.lower() != sha256(data):
                problem = "its bytes are not those of its sha256"
            yield Item(place if row["id"] is None else int(row["id"]), str(row["name"] or ""), data, problem)

    def _rows(self, columns: list[str], size: int) -> Iterator[dict[str, Any]]:
        try:
            for batch in self._file.iter_batches(batch_size=size, columns=columns, use_threads=False):
                yield from batch.to_pylist()
        except Exception as error:  # pyarrow raises nearly anything on damaged files
            raise DamagedShard(f"damaged: {reason(first_line(error))}") from error


class _Tar:
    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 (it ends with the file)
            self._members = [member for member in self._archive.getmembers() if _is_picture(member)]
            whole = _is_zero_from(file, self._archive.offset)
        except Exception as error:  # tarfile raises nearly anything on damaged files
            raise DamagedShard(f"no tar file that can be read: {reason(first_line(error))}") from error
        if not whole:  # tarfile takes a damaged header, or none, for the end
            raise DamagedShard("damaged: it does not end as a tar file does")

    def names(self) -> list[str]:
        return [member.name for member in self._members]

    def items(self) -> Iterator[Item]:
        for place, member in enumerate(self._members):
            if member.size > _MOST_PICTURE:
                yield Item(place, member.name, None, f"{member.size:,} bytes are too many")
                continue
            try:
                file = self._archive.extractfile(member)
                data = file.read() if file else None
            except Exception as error:  # as above
                raise DamagedShard(f"damaged: {reason(first_line(error))}") from error
            short = data is None or len(data) != member.size
            yield Item(place, member.name, data, "truncated" if short else None)


def _is_zero_from(file: IO[bytes], start: int) -> bool:
    """Returns whether a file ends with the two blocks of zeros that end a tar, and nothing after them."""
    file.seek(start)
    length = 0
    while block := file.read(2**16):
        if block.count(0) < len(block):
            return False
        length += len(block)
    return length >= 2 * tarfile.BLOCKSIZE


def _is_picture(member: tarfile.TarInfo) -> bool:
    return member.isreg() and not member.issparse() and is_picture_by_name(PurePosixPath(member.name))


class _Folder:
    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def names(self) -> list[str]:
        return list(self._shard.files)

    def items(self) -> Iterator[Item]:
        for place, name in enumerate(self._shard.files, self._shard.first):
            address = store.below(self._shard.address, name)
            data, problem = None, None
            try:
                data = store.read_bytes(address)
            except InputError as error:
                problem = reason(str(error))
            except OSError as error:
                if not isinstance(error, FileNotFoundError) and error.errno not in _OF_ONE_FILE:
                    raise MonetError(f"{address} cannot be read: {error.strerror or error}") from error
                problem = reason((error.strerror or "gone").lower())
            yield Item(place, name, data, problem)


class _ParquetWriter:
    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema
        self._rows: list[Painted] = []
        self._bytes = 0

    @classmethod
    @contextlib.contextmanager
    def opened(cls, file: IO[bytes]) -> Iterator[_ParquetWriter]:
        arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
        types = (arrow.int64(), arrow.string(), arrow.binary(), arrow.string(), arrow.string())
        schema = arrow.schema(list(zip(COLUMNS, types, strict=True)))
        options = {"compression": "none", "use_dictionary": ["status"], "write_statistics": ["id"]}
        with parquet.ParquetWriter(file, schema, write_page_checksum=True, **options) as writer:
            opened = cls(writer, schema)
            yield opened
            opened.flush()

    def add(self, painted: Painted) -> str | None:
        self._rows.append(painted)
        self._bytes += len(painted.data or b"")
        if self._bytes > _FLUSH_BYTES or len(self._rows) >= _FLUSH_ROWS:
            self.flush()
        return None

    def flush(self) -> None:
        arrow = library("pyarrow")
        if self._rows:
            rows = [(row.id, _text(row.name), row.data, row.sha256, row.status) for row in self._rows]
            columns = zip(zip(*rows, strict=True), self._schema, strict=True)
            arrays = [arrow.array(values, field.type) for values, field in columns]
            self._writer.write_batch(arrow.record_batch(arrays, schema=self._schema))
        self._rows, self._bytes = [], 0


class _TarWriter:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, painted: Painted) -> str | None:
        if painted.data is not None:
            member = tarfile.TarInfo(painted.name)
            member.size = len(painted.data)
            self._archive.addfile(member, io.BytesIO(painted.data))
        return None


class _FolderWriter:
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def add(self, painted: Painted) -> str | None:
        if painted.data is not None:
            try:
                with store.written(store.below(self._folder, painted.name)) as file:
                    file.write(painted.data)
            except MonetError as error:
                if getattr(error.__cause__, "errno", None) not in _OF_A_NAME:
                    raise
                return reason(f"there is no place for it: {getattr(error.__cause__, 'strerror', error)}".lower())
        return None


def sha256(data: bytes) -> str:
    """Returns the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def may_be_named(kind: Kind, name: str) -> str | None:
    """Returns why a result cannot hold a picture of this name; None where it can. In Parquet a name is but a text."""
    return None if kind == "parquet" else unsafe(name)


def _text(name: str) -> str:
    """A file's name may hold bytes that are no text."""
    return name.encode(errors="replace").decode()
