"""Frames of videos as images to learn from: evenly or a scene each, without what teaches nothing."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from monet.data.decode import UnreadableImage
from monet.data.pixels import Pixels, to_jpeg
from monet.data.scenes import SceneCuts
from monet.data.stream import Purpose, permutation
from monet.data.video import Frame, Video
from monet.errors import InputError, MonetError
from monet.files import written_whole

_BLACK = 24
"""Brightness, 0 to 255, up to which a pixel counts as black: video's black is 16, and coding blurs its edges."""
_BRIGHT = 98
"""Percentile that is taken for the largest brightness of a row: noise and dust in a bar do not count."""
_BLACK_SHARE = 0.98
"""Share of black pixels from which on a frame is black."""
_BLURRED = 0.1
"""Share of the median sharpness of its video below which a frame is blurred."""
_MARGIN = 0.2
"""Share at each side that does not count for sharpness: bars have sharp edges."""
_SHARPNESS_SIDE = 256
"""Pixels of the longer side at which sharpness is measured, so that it means the same in all videos."""
_SAME_BITS = 6
"""Bits of 64 in which the perceptual hashes of near-duplicates differ at most."""
_LEAST_BAR = 0.01
"""Share of the height or width that a bar has at least."""
_LEAST_PICTURE = 0.3
"""Share of the height and width that bars leave at least; more of it black is a dark scene."""
_KEPT = 8
"""Frames of a scene that are kept while its middle is not known."""
_QUALITY = 95

_ROUNDING = 1e-6
"""Seconds: times are fractions."""

LeftOut = Literal["black", "blurred", "near-duplicates"]


@dataclass(frozen=True)
class Looked:
    """What is known of a frame that may be taken."""

    index: int
    """Its number in its video."""
    time: float
    """Seconds."""
    scene: int
    """Number of its scene in its video."""
    black: bool
    sharpness: float
    fingerprint: int
    """Perceptual hash, 64 bits."""


@dataclass
class VideoLook:
    """What a first look at a video found."""

    path: Path
    candidates: list[Looked] = field(default_factory=list)
    frames: int = 0
    """Frames read."""
    brightest_rows: NDArray[np.uint8] | None = None
    """The brightness that each row has at most, over all candidates that are not black."""
    brightest_columns: NDArray[np.uint8] | None = None
    damage: str | None = None
    left_out: dict[LeftOut, int] = field(default_factory=dict)
    chosen: list[Looked] = field(default_factory=list)
    """The candidates that are taken."""

    def fits(self, pixels: Pixels) -> bool:
        """Returns whether a frame has the size that the video has: few change it."""
        height, width = (None if each is None else len(each) for each in (self.brightest_rows, self.brightest_columns))
        return pixels.shape[:2] == (height, width)

    @property
    def picture(self) -> tuple[slice, slice]:
        """Rows and columns without black bars."""
        if self.brightest_rows is None or self.brightest_columns is None:
            return slice(None), slice(None)
        return _without_bars(self.brightest_rows), _without_bars(self.brightest_columns)


def look_at(path: Path, every: float | None) -> VideoLook:
    """Reads a video once, and notes what its frames are like.

    Args:
        path: the file.
        every: seconds between candidates; None for one in the middle of each scene.

    Raises:
        UnreadableImage: nothing of it can be read.
        MonetError: PyAV or ImageHash is not installed.
    """
    found, scene, next_time = VideoLook(path), 0, -math.inf
    middle = _Middle()
    with Video(path) as video:
        cuts = SceneCuts(video)
        for frame in video.frames():
            if cuts.begins(frame) and found.frames:
                _add(found, middle.taken())
                scene += 1
            if every is None:
                middle.add(frame, found.frames, scene)
            elif float(frame.time) >= next_time - _ROUNDING:
                next_time = float(frame.time) + every if next_time == -math.inf else _next(next_time, frame, every)
                _add(found, (frame, found.frames, scene))
            found.frames += 1
        _add(found, middle.taken())
        found.damage = video.damage
    return found


class _Middle:
    """Keeps the middle frame of a scene while its end is not known, in the memory of a few frames."""

    def __init__(self) -> None:
        self._kept: list[tuple[Frame, int, int]] = []
        self._count = 0
        self._step = 1

    def add(self, frame: Frame, index: int, scene: int) -> None:
        if self._count % self._step == 0:
            self._kept.append((frame, index, scene))
        self._count += 1
        if len(self._kept) > _KEPT:  # every second one of them will do
            self._kept = self._kept[::2]
            self._step *= 2

    def taken(self) -> tuple[Frame, int, int] | None:
        """Returns the frame nearest to the middle of the scene, which ends here."""
        middle = self._kept[(self._count // 2) // self._step] if self._kept else None
        self._kept, self._count, self._step = [], 0, 1
        return middle


def choose(looks: Sequence[VideoLook]) -> None:
    """Chooses among the candidates of several videos: `chosen` and `left_out` are filled in."""
    seen: list[int] = []
    for look in looks:
        left: dict[LeftOut, int] = {"black": 0, "blurred": 0, "near-duplicates": 0}
        lit = [each for each in look.candidates if not each.black]
        left["black"] = len(look.candidates) - len(lit)
        median = float(np.median([each.sharpness for each in lit])) if lit else 0.0
        sharp = [each for each in lit if each.sharpness >= _BLURRED * median]
        left["blurred"] = len(lit) - len(sharp)
        for each in sharp:
            if any((each.fingerprint ^ other).bit_count() <= _SAME_BITS for other in seen):
                left["near-duplicates"] += 1
            else:
                seen.append(each.fingerprint)
                look.chosen.append(each)
        look.left_out = left


def thin(looks: Sequence[VideoLook], most: int) -> None:
    """Leaves so many of the chosen frames of several videos at most, evenly."""
    chosen = [(look, each) for look in looks for each in look.chosen]
    if len(chosen) > most:
        kept = [chosen[index] for index in np.linspace(0, len(chosen) - 1, most).round().astype(int)]
        for look in looks:
            look.chosen = [each for owner, each in kept if owner is look]


def scenes_for_tests(looks: Sequence[VideoLook], share: float, seed: int) -> set[tuple[Path, int]]:
    """Chooses scenes whose frames are for tests: whole scenes, so that no frame has a neighbour among the others.

    Args:
        looks: with their chosen frames.
        share: of all chosen frames that is for tests, about.
        seed: of the choice.
    """
    counts: dict[tuple[Path, int], int] = {}
    for look in looks:
        for each in look.chosen:
            counts[look.path, each.scene] = counts.get((look.path, each.scene), 0) + 1
    scenes, wanted = list(counts), share * sum(counts.values())
    tests: set[tuple[Path, int]] = set()
    taken = 0
    for index in permutation(seed, Purpose.SAMPLE_GRID, 1, len(scenes)):
        scene = scenes[index]
        if taken + counts[scene] / 2 <= wanted and len(tests) < len(scenes) - 1:
            tests.add(scene)
            taken += counts[scene]
    return tests


def write_frames(
    look: VideoLook, folder_of: Callable[[Looked], Path], *, on_frame: Callable[[], None]
) -> Iterator[Path]:
    """Reads a video once more, and writes its chosen frames as JPEG files without black bars. Returns the files.

    Raises:
        UnreadableImage: it cannot be read any more.
    """
    wanted = {each.index: each for each in look.chosen}
    rows, columns = look.picture
    with Video(look.path) as video:
        for index, frame in enumerate(video.frames()):
            on_frame()
            if (each := wanted.get(index)) and look.fits(frame.pixels):
                path = folder_of(each) / f"{look.path.stem}-{index:07d}.jpg"
                with written_whole(path) as file:
                    file.write(to_jpeg(frame.pixels[rows, columns], _QUALITY, "4:4:4"))
                yield path


def seconds_between(paths: Sequence[Path], most: int) -> float:
    """Returns the seconds between candidates at which several videos have a given number of them together.

    Raises:
        InputError: none says how long it is.
    """
    total = 0.0
    for path in paths:
        with contextlib.suppress(UnreadableImage), Video(path) as video:
            total += video.seconds or 0.0
    if total == 0:
        raise InputError("these videos do not say how long they are: give --every instead of --max")
    return total / most


def _next(time: float, frame: Frame, every: float) -> float:
    """Returns the next time of a grid that is after a frame."""
    return time + every * (math.floor((float(frame.time) - time + _ROUNDING) / every) + 1)


def _add(found: VideoLook, candidate: tuple[Frame, int, int] | None) -> None:
    if candidate is None:
        return
    frame, index, scene = candidate
    grey = _grey(frame.pixels)
    black = bool((grey <= _BLACK).mean() >= _BLACK_SHARE)
    found.candidates.append(
        Looked(index, float(frame.time), scene, black, _sharpness(grey), _fingerprint(frame.pixels))
    )
    if not black:
        rows, columns = (np.percentile(grey, _BRIGHT, axis).astype(np.uint8) for axis in (1, 0))
        if found.brightest_rows is None or found.brightest_columns is None:
            found.brightest_rows, found.brightest_columns = rows, columns
        elif found.brightest_rows.shape == rows.shape and found.brightest_columns.shape == columns.shape:
            found.brightest_rows = np.maximum(found.brightest_rows, rows)
            found.brightest_columns = np.maximum(found.brightest_columns, columns)


def _grey(pixels: Pixels) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).convert("L"))


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Returns the variance of the Laplacian (Pech-Pacheco et al. 2000)."""
    height, width = grey.shape
    top, left = int(_MARGIN * height), int(_MARGIN * width)
    image = Image.fromarray(grey[top : height - top, left : width - left])
    image.thumbnail((_SHARPNESS_SIDE, _SHARPNESS_SIDE), Image.Resampling.BOX)
    values = np.pad(np.asarray(image, np.float64), 1, mode="edge")
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    return float((around - 4 * values[1:-1, 1:-1]).var())


def _fingerprint(pixels: Pixels) -> int:
    """Returns the perceptual hash of an image: the signs of the lowest frequencies of its cosine transform."""
    return int(str(_image_hash().phash(Image.fromarray(pixels))), 16)


def _image_hash() -> Any:
    try:
        import imagehash
    except ImportError as error:
        raise MonetError(f"frames need ImageHash ({error}): pip install ImageHash") from error
    return imagehash


def _without_bars(brightest: NDArray[np.uint8]) -> slice:
    """Returns the part of rows, or columns, between those at both ends that are black in all frames."""
    lit = np.flatnonzero(brightest > _BLACK)
    whole, least = len(brightest), math.ceil(_LEAST_BAR * len(brightest))
    if not len(lit) or lit[-1] + 1 - lit[0] < _LEAST_PICTURE * whole:
        return slice(None)
    first = int(lit[0]) if lit[0] >= least else 0
    last = int(lit[-1]) + 1 if whole - lit[-1] - 1 >= least else whole
    return slice(first, last)
