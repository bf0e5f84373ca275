"""Videos through a checkpoint's generators, frame by frame, with their sound."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from monet.data.decode import UnreadableImage
from monet.data.pixels import Pixels
from monet.data.scenes import SceneCuts
from monet.data.video import Frame, Video, VideoWriter, pyav
from monet.files import written_whole
from monet.generation.translator import PixelTranslator, Translator
from monet.inference.sources import Source
from monet.models import Direction

_ROUNDING = 1e-6
"""Seconds, or frames: times are fractions."""


@dataclass(frozen=True)
class TranslatedVideo:
    """What became of a video."""

    path: Path
    """The file that was written."""
    frames: int
    """Frames in it."""
    flicker: float | None
    """How much more its neighbouring frames differ than those of the original do; None for fewer than two frames, or an
    original that does not move."""
    damage: str | None
    """What of the original could not be read."""

    def __str__(self) -> str:
        flicker = "" if self.flicker is None else f", flicker {self.flicker:.2f} (1: as the original)"
        return f"{self.path}: {self.frames:,} frames{flicker}" + (f"; {self.damage}" if self.damage else "")


class Flicker:
    """Compares how much neighbouring frames of a translation differ with how much those of its original do.

    The measure is the mean absolute difference of neighbouring frames within a scene, of the translation over that of
    the original: 1 where the translation moves as the original does, more where it flickers.
    """

    def __init__(self) -> None:
        self._before: tuple[Pixels, Pixels] | None = None
        self._changes = np.zeros(2)

    def add(self, original: Pixels, translated: Pixels, *, scene_begins: bool) -> None:
        """Takes the next frame, both (H, W, 3) uint8."""
        if self._before is not None and not scene_begins:
            for index, (now, before) in enumerate(zip((original, translated), self._before, strict=True)):
                self._changes[index] += np.abs(now.astype(np.int16) - before).mean()
        self._before = (original, translated)

    @property
    def ratio(self) -> float | None:
        """The changes of the translation over those of the original."""
        original, translated = self._changes
        return float(translated / original) if original > 0 else None


def translate_video(
    translator: PixelTranslator,
    source: Source,
    path: Path,
    *,
    smoothing: float,
    rate: float | None = None,
    on_frame: Callable[[Frame], None] = lambda _: None,
    on_whole: Callable[[Path, str | None], None] = lambda *_: None,
) -> TranslatedVideo:
    """Translates a video into a file, with the times of its frames, its colours' coding and its sound.

    Args:
        translator: the generators; a `Translator` where frames are smoothed.
        source: the video.
        path: the file; its name's ending is one of `monet.data.video.WRITTEN`.
        smoothing: share of the statistics of normalisation that a frame has from those before it in its scene, 0 to
            below 1; less flicker with more.
        rate: frames a second, at most; all by default. The others are left out.
        on_frame: called with every frame that is read.
        on_whole: called with the file before it takes its name, and with what of the original could not be read.

    Raises:
        UnreadableImage: nothing of it can be read.
        MonetError: the file cannot be written, or PyAV is not installed.
    """
    with Video(source.path) as video, _told_as_unreadable():
        cuts, flicker, count = SceneCuts(video), Flicker(), 0
        translated = _frame_by_frame(translator, source.direction, smoothing)
        items = video.frames_and_sound()
        sound_before, first = _first_frame(items)
        if first is None:
            raise UnreadableImage("no frame of it can be read")
        height, width = first.pixels.shape[:2]
        next_time, begins = float(first.time), False
        whole = written_whole(path, lambda partial: on_whole(partial, video.damage))
        with whole as file, VideoWriter(file, path.suffix.lower(), video, (height, width)) as writer:
            for packet in sound_before:
                writer.copy(packet)
            for item in itertools.chain([first], items):
                if not isinstance(item, Frame):
                    writer.copy(item)
                    continue
                on_frame(item)
                begins = cuts.begins(item) or begins
                if rate is not None and float(item.time) < next_time - _ROUNDING:
                    continue
                next_time = (math.floor(float(item.time) * rate + _ROUNDING) + 1) / rate if rate else 0.0
                original = _fitted(item.pixels, height, width)
                painted = translated(original, begins)
                flicker.add(original, painted, scene_begins=begins)
                writer.write(painted, item)
                count, begins = count + 1, False
        return TranslatedVideo(path, count, flicker.ratio, video.damage)


def _frame_by_frame(
    translator: PixelTranslator, direction: Direction, smoothing: float
) -> Callable[[Pixels, bool], Pixels]:
    """Returns a function that translates a frame, (H, W, 3) uint8, and is told whether a scene begins with it."""
    if smoothing == 0:
        return lambda pixels, _: translator.translate(pixels, direction)
    if not isinstance(translator, Translator):
        raise TypeError(f"translator is a {type(translator).__name__}: smoothing needs a Translator")
    statistics = translator.statistics(direction)

    def translated(pixels: Pixels, scene_begins: bool) -> Pixels:
        if scene_begins:
            statistics.forget()
        return translator.frame(pixels, statistics, 1 - smoothing)

    return translated


@contextlib.contextmanager
def _told_as_unreadable() -> Iterator[None]:
    """Tells an error of FFmpeg, such as times of sound that a container cannot hold, as one of the file."""
    try:
        yield
    except pyav().FFmpegError as error:
        raise UnreadableImage(f"FFmpeg cannot write it anew: {error.strerror or error}") from error


def _fitted(pixels: Pixels, height: int, width: int) -> Pixels:
    """Returns a frame in the size of the first one, which few videos change."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def _first_frame(items: Iterator[Frame | Any]) -> tuple[list[Any], Frame | None]:
    """Returns the packets of sound before the first frame, and that."""
    sound: list[Any] = []
    for item in items:
        if isinstance(item, Frame):
            return sound, item
        sound.append(item)
    return sound, None
