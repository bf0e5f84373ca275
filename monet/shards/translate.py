"""Shards translated by an engine, so that nothing is lost, and nothing is done twice."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from monet.display import Display
from monet.errors import InputError, shown
from monet.files import remove_left_behind
from monet.shards import store
from monet.shards.engine import Engine, Lost
from monet.shards.find import Shard
from monet.shards.manifest import FOLDER, Manifest, Row
from monet.shards.paint import Painting

_MOST_TOLD = 20


@dataclass
class TranslatedShards:
    """What came of it."""

    shards: int = 0
    """All of them."""
    kept: int = 0
    """Those that an earlier call had done."""
    images: int = 0
    """Pictures in all of them."""
    painted: int = 0
    """Those that are painted."""
    bytes: int = 0
    """Of the paintings."""
    bad: list[str] = field(default_factory=list)
    """The first of those that are not, with the reasons."""
    lost: list[str] = field(default_factory=list)
    """Shards of which nothing is painted, with the reasons."""
    others: int = 0
    """Results of the same settings that are there of shards which the input does not hold."""

    def add(self, row: Row) -> None:
        """Counts a shard."""
        self.shards += 1
        self.images += row.images
        self.painted += row.painted
        self.bytes += row.bytes
        if row.problem:
            self.lost.append(f"{row.source}: {row.problem}")
        room = _MOST_TOLD - len(self.bad)
        self.bad += [f"{shown(name)} in {row.source} ({why})" for name, why in row.bad[: max(0, room)]]

    @property
    def complete(self) -> bool:
        """Every picture is painted."""
        return not self.lost and self.painted == self.images

    def lines(self, output: str) -> list[str]:
        """Returns the result in lines.

        Args:
            output: what was written to, as it was given.
        """
        kept = f", {self.kept:,} of them were done before" if self.kept else ""
        lines = [f"painted {self.painted:,} of {self.images:,} pictures in {self.shards:,} shards into {output}{kept}"]
        lines += [f"could not be read: {item}" for item in self.bad]
        if (more := self.images - self.painted - len(self.bad)) > 0:
            lines.append(f"could not be read: {more:,} more; the manifest and the status in Parquet name them")
        lines += [f"nothing painted of {item}" for item in self.lost[:_MOST_TOLD]]
        if (more := len(self.lost) - _MOST_TOLD) > 0:
            lines.append(f"nothing painted of {more:,} more shards; the manifest names them")
        if self.others:
            lines.append(f"{self.others:,} more results are in {output}, of shards that the input does not hold")
        return lines


def translate_shards(
    work: Painting, shards: Sequence[Shard], engine: Engine, display: Display | None = None
) -> TranslatedShards:
    """Translates what is left of some shards.

    Args:
        work: with what, how, and where to.
        shards: the input.
        engine: what carries it out.
        display: shows progress.

    Raises:
        InputError: two shards would have one result, or the folder cannot be used.
        MonetError: a result cannot be written, or the engine gave up; what is done is kept.
    """
    shards = work.named(shards)
    results = [work.result(shard) for shard in shards]
    if twice := next((result for result, count in Counter(results).items() if count > 1), None):
        raise InputError(f"two shards would both become {shown(twice)}: rename one, or give them folders of their own")
    for folder in (work.folder, store.below(work.folder, FOLDER)):
        store.require_place(folder)
    _sweep(work.folder)
    manifest = Manifest(work.folder, work.settings)
    manifest.write_settings(work.about)
    rows = manifest.done([(result, shard.identity) for result, shard in zip(results, shards, strict=True)])
    translated = TranslatedShards(others=len(manifest.others(results)))
    there = _there(work, shards)
    left = []
    for shard, row in zip(shards, rows, strict=True):
        if row is None or not _is_there(work, shard, row, there):
            left.append(shard)
        else:
            translated.add(row)
            translated.kept += 1
    display = display or Display()
    display.begin("translating", len(left), "shards")
    for shard, result in engine.run(work, left) if left else ():
        translated.add(_lost(work, manifest, shard, result) if isinstance(result, Lost) else result)
        display.advance()
    display.end()
    return translated


def _lost(work: Painting, manifest: Manifest, shard: Shard, lost: Lost) -> Row:
    """Returns the row of a shard that was given up, and writes it; unless another command has done the shard."""
    row = manifest.read(work.result(shard), shard.identity)
    if row is None:
        manifest.write(row := work.failed(shard, lost.reason))
    return row


def _there(work: Painting, shards: Sequence[Shard]) -> set[str]:
    """Returns the addresses of the results that are there, and of the pictures in folders of results."""
    if not store.is_remote(work.folder):
        local = {target for target in {work.target(shard) for shard in shards} if Path(target).exists()}
        if folder := next((work.target(shard) for shard in shards if work.is_part_of_folder(shard)), None):
            local.update(str(path) for path in Path(folder).rglob("*"))
        return local
    there: set[str] = set()
    with contextlib.suppress(InputError):  # nothing yet
        for entry in store.listed_below(work.folder):
            there.add(entry.address)
            there.update(store.below(work.folder, str(parent)) for parent in PurePosixPath(entry.name).parents)
    return there


def _is_there(work: Painting, shard: Shard, row: Row, there: set[str]) -> bool:
    """Returns whether a result is there as its row says; of a part of a folder, as many pictures."""
    target = work.target(shard)
    if work.is_part_of_folder(shard):
        return sum(store.below(target, name) in there for name in shard.names) >= row.painted
    return target in there or not row.painted


def _sweep(folder: str) -> None:
    """Removes what killed processes have left in a local folder."""
    if not store.is_remote(folder):
        for path in [Path(folder), *(path for path in Path(folder).rglob("*") if path.is_dir())]:
            remove_left_behind(path)
