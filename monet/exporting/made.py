"""Graphs of a generator, each compared with PyTorch, and timed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from monet.clock import Clock
from monet.data.decode import UnreadableImage, decode
from monet.data.drawing import draw
from monet.data.layout import list_images
from monet.data.pixels import HALF_RANGE
from monet.errors import InputError, MonetError
from monet.exporting import check, graph
from monet.generation.translator import Translator
from monet.models import Direction, Generators
from monet.sizes import SIDE

Variant = Literal["fp16", "int8"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

_DRAWN = 8
_LEAST_MEGABYTES = 100_000
_FLAT = 1.0
"""Deviation of 8-bit values below which a picture is left out: instance normalisation makes noise of it, everywhere."""
_MOST_PHOTOS = 64
"""Photos that graphs are compared and calibrated with, at most, taken evenly from all."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to carry out a generator: a line of the table."""

    name: str
    """`PyTorch`, `fp32`, `fp16` or `int8`."""
    images_a_second: float
    """Of 256×256 pixels, one at a time, on this machine's CPU."""
    data: bytes = field(default=b"", repr=False)
    """The ONNX file; none of PyTorch."""
    difference: check.Difference | None = None
    """From PyTorch in fp32."""

    @property
    def size(self) -> str:
        """In words; none of PyTorch."""
        return megabytes(len(self.data)) if self.data else ""


class GraphMaker:
    """Makes the graphs of one generator.

    Args:
        generators: of a run.
        translator: the same in PyTorch, on the CPU, in fp32: what a graph has to equal.
        direction: which generator.
        photos: pictures with which graphs are compared, and int8 is calibrated.
        threads: that compute while a graph is timed.
        clock: tells the time.
    """

    def __init__(
        self,
        generators: Generators,
        translator: Translator,
        direction: Direction,
        photos: Sequence[Image.Image],
        threads: int,
        clock: Clock,
    ) -> None:
        self._generators = generators
        self._translator = translator
        self._direction = direction
        self._photos = photos
        self._threads = threads
        self._clock = clock

    def in_torch(self) -> Way:
        """Times PyTorch."""
        images = self._squares(pixels=False)[0]
        run = lambda given: check.reference(self._translator, self._direction, given)  # noqa: E731
        return Way(name="PyTorch", images_a_second=check.pictures_a_second(run, images, self._clock))

    def exact(self, *, pixels: bool) -> Way:
        """Makes the graph in fp32.

        Raises:
            MonetError: it does not give what PyTorch gives, or a library is missing.
        """
        made = graph.onnx_graph(self._generators, self._direction, pixels=pixels)
        way = self._tried("fp32", made, pixels)
        assert way.difference
        allowed = check.MOST_LEVELS if pixels else check.MOST * HALF_RANGE
        if not way.difference.most <= allowed:
            raise MonetError(
                f"the graph does not give what PyTorch does: {way.difference.most:.3f} grey levels off where "
                f"{allowed:.3f} are allowed; nothing is written"
            )
        return way

    def variant(self, name: Variant, exact: Way, *, pixels: bool) -> Way:
        """Makes a graph with smaller numbers of the one in fp32."""
        given = graph.parsed(exact.data)
        made = graph.in_fp16(given) if name == "fp16" else graph.in_int8(given, self._squares(pixels=pixels))
        way = self._tried(name, made, pixels)
        assert way.difference
        if not math.isfinite(way.difference.most):
            raise MonetError(f"the graph in {name} gives values that are no numbers: leave --{name} out")
        return way

    def _tried(self, name: str, made: Any, pixels: bool) -> Way:
        session = check.Session(made, self._threads)
        found = check.difference(session, self._translator, self._direction, check.batches(self._photos, pixels=pixels))
        speed = check.pictures_a_second(session, self._squares(pixels=pixels)[0], self._clock)
        return Way(name=name, data=graph.sealed(made), images_a_second=speed, difference=found)

    def _squares(self, *, pixels: bool) -> list[Any]:
        return [check.as_input(np.asarray(photo.resize((SIDE, SIDE)))[None], pixels=pixels) for photo in self._photos]


def example_photos(folder: Path | None) -> list[Image.Image]:
    """Returns pictures of 256×256 pixels.

    Args:
        folder: some of its images, evenly chosen; drawn ones where there is none.

    Raises:
        InputError: none can be read.
    """
    if folder is None:
        return [draw(0, "photo", index) for index in range(_DRAWN)]
    files = list_images(folder)
    count = min(len(files), _MOST_PHOTOS)
    found, reason = [], ""
    for place in range(count):
        file = files[place * len(files) // count]
        try:
            pixels = decode(file, SIDE)
        except UnreadableImage as error:
            reason = f"{file.name}: {error}"
            continue
        if pixels.std((0, 1)).max() < _FLAT:
            reason = f"{file.name}: of one colour"
        else:
            found.append(Image.fromarray(pixels))
    if not found:
        raise InputError(f"{folder}: none of its files is an image to compare with ({reason})")
    return found


def megabytes(size: int) -> str:
    """Returns a number of bytes in words."""
    return f"{size / 1e6:.1f} MB" if size >= _LEAST_MEGABYTES else f"{size / 1e3:.0f} kB"


def table(ways: Sequence[Way]) -> list[str]:
    """Returns the table in lines."""
    lines = [("", "size", "images/s", "mean", "max")]
    for way in ways:
        off = way.difference
        numbers = (f"{off.mean:.3f}", f"{off.most:.3f}") if off else ("", "")
        lines.append((way.name, way.size, f"{way.images_a_second:.1f}", *numbers))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    top = f"{SIDE}×{SIDE} pixels, one image at a time; difference from PyTorch in fp32, in levels of 0 to 255"
    rows = ["  ".join([f"{line[0]:<{widths[0]}}", *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]
    return [top, *rows]
