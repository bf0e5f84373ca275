"""A shard of pictures, painted: a function of the shard and of the weights alone, whoever calls it, and how often."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

import numpy as np
import torch

from monet.clock import Clock
from monet.data.decode import UnreadableImage
from monet.data.pictures import SUFFIXES, Picture, read_picture, write_picture
from monet.device import Precision, choose_device
from monet.errors import InputError
from monet.generation.translator import TILE, Translator
from monet.inference.sources import VIDEO_SUFFIXES, PictureSuffix, Source, output_names
from monet.inference.translate import require_quality
from monet.models import Direction, Generators
from monet.shards import store
from monet.shards.find import Kind, Shard
from monet.shards.formats import DamagedShard, may_be_named, reading, sha256, writing
from monet.shards.manifest import DIGITS, Manifest, Row
from monet.shards.rows import OK, Item, Painted, Stopped, reason
from monet.threads import ahead, compute_threads, thread_pool

_SUFFIX_OF: dict[Kind, str] = {"parquet": ".parquet", "tar": ".tar", "folder": ""}
_WARM_UP_SIDE = 256


@dataclass(frozen=True, kw_only=True)
class PaintingOptions:
    """How shards are painted: all that the pixels depend on beside the weights."""

    direction: Direction = "ab"
    suffix: PictureSuffix = "keep"
    """The format of pictures by its names' ending."""
    quality: int = 95
    """Of JPEG and WebP, 1 to 100."""
    precision: Precision = "fp32"
    """Of the convolutions; no `auto`, so that all processes do the same."""
    tile: int = TILE
    """Pixels: larger pictures go in tiles."""
    batch_size: int | None = None
    """Pictures of one size that go through the network together; by default one on a CPU, 16 elsewhere."""
    kind: Kind | None = None
    """Of the results; that of the shard by default."""

    def __post_init__(self) -> None:
        require_quality(self.quality)
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"--batch-size is {self.batch_size}: give at least 1")


@dataclass(frozen=True)
class Painting:
    """The work of painting shards into a folder; it is sent to the processes that do it.

    Args:
        generators: on the CPU.
        options: how.
        folder: for the results; a path or an address.
    """

    generators: Generators
    options: PaintingOptions
    folder: str
    weights: str
    """SHA-256 of the generator's weights."""
    settings: str
    """SHA-256 of the weights and the options."""
    about: str
    """What that is of, as JSON."""

    def worker(self, device: str, threads: int, clock: Clock, stopping: Callable[[], bool], /) -> Painter:
        """Returns what does the work in a process."""
        return Painter(self, device, threads, clock, stopping)

    def kind(self, shard: Shard) -> Kind:
        """Returns the kind of a shard's result."""
        return self.options.kind or shard.kind

    def result(self, shard: Shard) -> str:
        """Returns the name of a shard's result: of its name, and of the weights and settings."""
        digits = self.settings[:DIGITS]
        return f"{digits}/{shard.name}" if self.kind(shard) == "folder" else f"{shard.name}-{digits}"

    def target(self, shard: Shard) -> str:
        """Returns the address of a shard's result: of a file, or of the folder that its pictures are in."""
        if self.is_part_of_folder(shard):
            return store.below(self.folder, self.settings[:DIGITS])
        return store.below(self.folder, f"{self.result(shard)}{_SUFFIX_OF[self.kind(shard)]}")

    def is_part_of_folder(self, shard: Shard) -> bool:
        """Returns whether it is a part of a folder, and its result one of a folder again, which all parts make."""
        return shard.kind == self.kind(shard) == "folder"

    def named(self, shards: Sequence[Shard]) -> list[Shard]:
        """Returns shards with the names of their paintings, where they are parts of one folder."""
        names = iter(_result_names([name for shard in shards for name in shard.files], self.options.suffix))
        found = []
        for shard in shards:
            called = tuple(islice(names, len(shard.files)))
            known = hashlib.sha256("\0".join([shard.identity, *called]).encode(errors="replace")).hexdigest()[:32]
            found.append(dataclasses.replace(shard, names=called, identity=known) if called else shard)
        return found

    def failed(self, shard: Shard, why: str) -> Row:
        """Returns the row of a shard of which nothing could be painted."""
        return dataclasses.replace(self.row(shard), problem=why)

    def row(self, shard: Shard) -> Row:
        """Returns the row of a shard that is yet to be painted."""
        return Row(
            shard=shard.name,
            source=shard.address,
            identity=shard.identity,
            output=self.result(shard),
            weights=self.weights,
            settings=self.settings,
        )


def painting(generators: Generators, options: PaintingOptions, folder: str) -> Painting:
    """Returns the work of painting with a generator.

    Raises:
        InputError: the direction is not trained.
    """
    if options.direction not in generators.by_direction:
        raise InputError(
            f"the direction {options.direction} is not learned by this checkpoint (training.lambda_cycle is 0): give "
            "--direction ab, or another checkpoint"
        )
    state = generators.by_direction[options.direction].state_dict()
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    weights = digest.hexdigest()
    model, how = dataclasses.asdict(generators.config.model), dataclasses.asdict(options)
    settings = hashlib.sha256(json.dumps([weights, model, how], default=str).encode()).hexdigest()
    about = json.dumps({"weights": weights, "model": model, **how}, default=str, indent=2)
    only = dataclasses.replace(generators, by_direction={options.direction: generators.by_direction[options.direction]})
    return Painting(only, options, folder, weights, settings, about)


class Painter:
    """Paints shards, one after the other, in one process.

    Args:
        work: with what, how, and where to.
        device: where the network runs, such as `cpu` or `cuda:1`.
        threads: that decode and encode, and on a CPU compute.
        clock: tells the time.
        stopping: asked between pictures whether to stop.
    """

    def __init__(
        self, work: Painting, device: str, threads: int, clock: Clock, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._work = work
        self._clock = clock
        self._stopping = stopping
        self._threads = threads
        where = choose_device(device)
        options = work.options
        self._translator = Translator(work.generators, device=where, precision=options.precision, tile=options.tile)
        self._on_cpu = where.type == "cpu"
        self._batch_size = options.batch_size or (1 if self._on_cpu else 16)
        self._manifest = Manifest(work.folder, work.settings)
        warm_up = np.zeros((self._batch_size, _WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8)
        self._translator.translate(warm_up, options.direction)  # what a device compiles first, it compiles now

    def __call__(self, shard: Shard) -> Row:
        """Paints a shard.

        Reads it, writes the result under another name, renames it, and then writes its row. Done twice, it writes the
        same.

        Returns:
            The row; where the shard cannot be read, with the problem.

        Raises:
            MonetError: the result cannot be written, or the weights give values that are not numbers.
            Stopped: it was asked to.
        """
        begun = self._clock()
        row = self._work.row(shard)
        try:
            row = self._painted(shard, row)
        except DamagedShard as error:
            row = dataclasses.replace(row, problem=str(error))
        row = dataclasses.replace(row, seconds=round(self._clock() - begun, 3))
        self._manifest.write(row)
        return row

    def _painted(self, shard: Shard, row: Row) -> Row:
        kind = self._work.kind(shard)
        images = painted = size = 0
        bad: list[tuple[str, str]] = []
        with reading(shard) as source:
            named = shard.names or _result_names(source.names(), self._work.options.suffix)
            with writing(kind, self._work.target(shard)) as result:
                for item, made in self._rows(source.items(), kind, named):
                    if self._stopping():
                        raise Stopped
                    images += 1
                    wrong = result.add(made)
                    if made.data is None or wrong:
                        bad.append((item.name, wrong or made.status))
                    else:
                        painted, size = painted + 1, size + len(made.data)
        return dataclasses.replace(row, images=images, painted=painted, bytes=size).with_bad(bad)

    def _rows(self, items: Iterator[Item], kind: Kind, names: Sequence[str]) -> Iterator[tuple[Item, Painted]]:
        """Returns the pictures, painted, in order; a few batches at a time are under way."""
        pool_of = compute_threads(self._threads) if self._on_cpu else thread_pool(self._threads)
        named = _named(items, names)
        with pool_of as pool:
            batches = iter(lambda: list(islice(named, self._batch_size)), [])
            futures = ((batch, pool.submit(self._batch, kind, batch)) for batch in batches)
            for batch, future in ahead(futures, 2 * self._threads):
                for (item, _), made in zip(batch, future.result(), strict=True):
                    yield item, made

    def _batch(self, kind: Kind, batch: Sequence[tuple[Item, str]]) -> list[Painted]:
        """Paints some pictures; those of one size together."""
        made: dict[int, Painted] = {}
        by_size: dict[tuple[int, ...], list[tuple[int, Picture]]] = {}
        for place, (item, name) in enumerate(batch):
            try:
                picture = read_picture(_data(item, kind, name))
                by_size.setdefault(picture.pixels.shape, []).append((place, picture))
            except UnreadableImage as error:
                made[place] = Painted(item.id, name, None, None, reason(str(error)))
        for group in by_size.values():
            stack = np.stack([picture.pixels for _, picture in group])
            translated = self._translator.translate(stack, self._work.options.direction)
            for (place, picture), pixels in zip(group, translated, strict=True):
                item, name = batch[place]
                made[place] = self._encoded(item, name, dataclasses.replace(picture, pixels=pixels))
        return [made[place] for place in range(len(batch))]

    def _encoded(self, item: Item, name: str, picture: Picture) -> Painted:
        file = io.BytesIO()
        try:
            kind = SUFFIXES[PurePath(name).suffix.lower()]
            write_picture(file, picture, kind, self._work.options.quality)
        except UnreadableImage as error:
            return Painted(item.id, name, None, None, reason(str(error)))
        data = file.getvalue()
        return Painted(item.id, name, data, sha256(data), OK)


def _result_names(names: Sequence[str], suffix: PictureSuffix) -> list[str]:
    sources = [Source(Path(name), PurePath(name if PurePath(name).name else "unnamed"), "ab") for name in names]
    return [path.as_posix() for path in output_names(sources, suffix)]


def _named(items: Iterator[Item], names: Sequence[str]) -> Iterator[tuple[Item, str]]:
    """Returns pictures with the names of their results.

    Raises:
        DamagedShard: there are not as many of the one as of the other.
    """
    count = 0
    for item in items:
        if count == len(names):
            raise DamagedShard(f"damaged: more than {count} pictures, but {count} names")
        yield item, names[count]
        count += 1
    if count < len(names):
        raise DamagedShard(f"damaged: {len(names)} names, but {count} pictures")


def _data(item: Item, kind: Kind, name: str) -> bytes:
    """Returns the bytes of a picture.

    Raises:
        UnreadableImage: they cannot be used, or the result has no place for it.
    """
    if item.data is None or item.problem:
        raise UnreadableImage(item.problem or "no bytes")
    if PurePath(item.name).suffix.lower() in VIDEO_SUFFIXES:
        raise UnreadableImage("a video: translate it without --engine")
    if wrong := may_be_named(kind, name):
        raise UnreadableImage(wrong)
    return item.data
