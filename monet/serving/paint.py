"""One picture, or one short video, painted for somebody who waits for it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from monet.clock import Clock
from monet.data.decode import UnreadableImage
from monet.data.pictures import SUFFIXES, Picture, PictureFormat, read_picture, write_picture
from monet.data.pixels import Pixels
from monet.data.video import WRITTEN, Frame
from monet.errors import InputError
from monet.files import written_whole
from monet.inference.sources import Source, output_names
from monet.inference.video import TranslatedVideo, translate_video
from monet.models import Direction
from monet.serving.limits import Limits, Refused, Watch, not_a_picture, not_a_video
from monet.serving.models import Models, require_direction

_ROWS = 256
_QUALITY = 95
"""Of JPEG and WebP, as `translate` has it."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody wants of a picture or a video."""

    model: str
    """One of the names in `Models`."""
    direction: Direction = "ab"
    longer_side: int | None = None
    """Pixels to which a picture is made smaller first; null leaves it as it is. Not for videos."""
    strength: float = 1.0
    """Share of the painting, 0 to 1; the rest is the original. Not for videos."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise InputError(f"strength is {self.strength}: give 0 to 1")
        if self.longer_side is not None and self.longer_side < 1:
            raise InputError(f"the longer side is {self.longer_side}: give pixels, at least 1")


@dataclass(frozen=True)
class PaintedPicture:
    """A picture, before and after."""

    path: Path
    """The file that was written."""
    before: Pixels
    """(H, W, 3) uint8."""
    after: Pixels
    """The same shape."""


def name_of_painting(name: str, *, is_video: bool | None = None) -> str:
    """Returns the name that `translate` gives the painting of a file: its own, or one in `.png` (of a video `.mp4`)
    where nothing is written in its format.

    Args:
        name: of the file.
        is_video: what it is, where its name may say something else; by default what its name says.
    """
    plain = PurePath(PurePath(name).name)
    painting = output_names([Source(Path(plain), plain, "ab")], "keep")[0]
    if is_video is None:
        return str(painting)
    known, otherwise = (WRITTEN, ".mp4") if is_video else (SUFFIXES, ".png")
    return str(painting if painting.suffix.lower() in known else painting.with_suffix(otherwise))


def paint_picture(models: Models, source: Path, target: Path, order: Order, limits: Limits) -> PaintedPicture:
    """Paints a picture into a new file; with an order that changes neither size nor strength, `translate`'s bytes.

    Args:
        models: what is offered.
        source: the picture.
        target: the file; the ending of its name decides the format.
        order: what is wanted.
        limits: of the picture.

    Raises:
        Refused: it is no picture, or too large.
        InputError: the model is not offered or cannot be read, or the name's ending is of no format.
        MonetError: the file cannot be written, or the weights give values that are not numbers.
    """
    kind: PictureFormat | None = SUFFIXES.get(target.suffix.lower())
    if kind is None:
        raise InputError(f"{target} is of no format by its name: give one that ends in {', '.join(sorted(SUFFIXES))}")
    with models.room_for(*limits.require_picture(source)):
        return _paint_picture(models, source, target, kind, order)


def _paint_picture(models: Models, source: Path, target: Path, kind: PictureFormat, order: Order) -> PaintedPicture:
    try:
        picture = _reduced(read_picture(source), order.longer_side)
    except UnreadableImage as error:
        raise not_a_picture(error) from error
    painted = models.translate(order.model, picture.pixels, order.direction)
    painted = blended(picture.pixels, painted, order.strength)
    try:
        with written_whole(target) as file:
            write_picture(file, dataclasses.replace(picture, pixels=painted), kind, _QUALITY)
    except UnreadableImage as error:  # too large for the format
        raise Refused("many pixels", str(error)) from error
    return PaintedPicture(target, picture.pixels, painted)


def paint_video(
    models: Models,
    source: Path,
    target: Path,
    order: Order,
    limits: Limits,
    on_frame: Callable[[], None] = lambda: None,
    clock: Clock = time.monotonic,
) -> TranslatedVideo:
    """Paints a short video into a new file, as `translate` does.

    Args:
        models: what is offered.
        source: the video.
        target: the file; the ending of its name decides the container.
        order: model and direction.
        limits: of the video, and of the time for it.
        on_frame: called for every frame that is read.
        clock: in seconds; it begins when the video's turn has come.

    Raises:
        Refused: it is no video, too long, or it takes too long.
        InputError: the model is not offered or cannot be read.
        MonetError: the file cannot be written, the weights give values that are not numbers, or PyAV is not installed.
    """
    limits.require_video(source)
    translator = models.translator(order.model)
    require_direction(order.model, translator, order.direction)
    given = Source(source, PurePath(source.name), order.direction)

    def translate() -> TranslatedVideo:
        watch = Watch(limits, clock)

        def on_each(frame: Frame) -> None:
            watch(frame)
            on_frame()

        return translate_video(translator, given, target, smoothing=0.0, on_frame=on_each)

    try:
        return models.compute(translate)
    except UnreadableImage as error:
        raise not_a_video(error) from error


def blended(original: Pixels, painted: Pixels, strength: float) -> Pixels:
    """Returns a mixture of two pictures of one shape, uint8; a strength of 1 is the painting alone."""
    if strength == 1:
        return painted
    mixed = np.empty_like(original)
    for top in range(0, len(original), _ROWS):  # floats of the whole would take eight times its memory
        rows = slice(top, top + _ROWS)
        part = original[rows].astype(np.float32)
        mixed[rows] = np.rint(part + strength * (painted[rows] - part))
    return mixed


def _reduced(picture: Picture, longer_side: int | None) -> Picture:
    """Returns a picture whose longer side has at most so many pixels."""
    height, width = picture.pixels.shape[:2]
    if longer_side is None or max(height, width) <= longer_side:
        return picture
    scale = longer_side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = np.asarray(Image.fromarray(picture.pixels).resize(size, Image.Resampling.LANCZOS))
    if picture.alpha is None:
        return Picture(pixels)
    return Picture(pixels, np.asarray(Image.fromarray(picture.alpha).resize(size, Image.Resampling.LANCZOS)))
