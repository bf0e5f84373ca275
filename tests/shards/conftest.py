"""Shards of small pictures, a small network, and an engine without other processes."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from monet.config import ModelConfig
from monet.models import Generators
from monet.shards.engine import Lost, ResultT, TaskT, Work
from monet.shards.formats import writing
from monet.shards.rows import OK, Painted
from tests.conftest import picture
from tests.generators import generators_of

pytest.importorskip("pyarrow", reason="shards need pyarrow")

# Ray reads these as it is imported: it tells its makers nothing, and leaves no token in the home folder.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


class HereEngine:
    """Does all work in this process, one task after the other."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def run(self, work: Work[TaskT, ResultT], tasks: Sequence[TaskT]) -> Iterator[tuple[TaskT, ResultT | Lost]]:
        worker = work.worker("cpu", 1, time.monotonic, lambda: False)
        for task in tasks:
            self.done.append(task)
            yield task, worker(task)


@pytest.fixture(scope="session")
def generators() -> Generators:
    return generators_of(ModelConfig(generator="resnet", width=4, residual_blocks=1, skip=False))


def jpeg(seed: int, size: tuple[int, int] = (32, 32)) -> bytes:
    file = io.BytesIO()
    picture(seed, size).save(file, "JPEG", quality=95)
    return file.getvalue()


def write_parquet(path: Path, files: Sequence[tuple[int, str, bytes | None]]) -> Path:
    """A shard as anyone would write it."""
    with writing("parquet", str(path)) as writer:
        for number, name, data in files:
            digest = hashlib.sha256(data).hexdigest() if data is not None else None
            writer.add(Painted(number, name, data, digest, OK if data is not None else "could not be fetched"))
    return path


def write_tar(path: Path, files: Sequence[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def fill_shards(folder: Path, shards: int, each: int, size: tuple[int, int] = (32, 32)) -> Path:
    """Parquet shards `part-00.parquet`, … of `each` pictures."""
    folder.mkdir(parents=True)
    for shard in range(shards):
        first = shard * each
        files = [(first + place, f"{first + place}.jpg", jpeg(first + place, size)) for place in range(each)]
        write_parquet(folder / f"part-{shard:02}.parquet", files)
    return folder


def rows_of(path: Path) -> list[dict[str, object]]:
    import pyarrow.parquet

    rows: list[dict[str, object]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows
