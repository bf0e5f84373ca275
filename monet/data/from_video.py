"""A domain cut from videos, in a folder that a training takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from monet.data.decode import UnreadableImage
from monet.data.frames import (
    Looked,
    VideoLook,
    choose,
    look_at,
    scenes_for_tests,
    seconds_between,
    thin,
    write_frames,
)
from monet.data.store import BadImage
from monet.display import Display
from monet.errors import InputError


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """Which frames are taken of videos, and where they go."""

    every: float | None = None
    """Seconds between them."""
    most: int | None = None
    """Their number, evenly spaced over all videos; those that are left out are not made up for."""
    domain: Literal["a", "b"] = "b"
    """Domain that they belong to: `trainB/` and `testB/`, or `trainA/` and `testA/`."""
    test: float = 0.1
    """Share that is for tests, in whole scenes; 0 to 0.5."""
    seed: int = 0
    """Of the choice of these scenes."""

    def __post_init__(self) -> None:
        if self.every is not None and self.most is not None:
            raise InputError("--every and --max both say how many frames are taken: give one of them")
        if self.every is not None and not self.every > 0:
            raise InputError(f"--every is {self.every} seconds: give more than 0")
        if self.most is not None and self.most < 1:
            raise InputError(f"--max is {self.most}: give at least 1")
        if not 0 <= self.test <= 1 / 2:
            raise InputError(f"--test is {self.test}: give 0 to 0.5")


@dataclass(frozen=True)
class Extracted:
    """What was cut from videos."""

    train: int
    """Images to learn from."""
    test: int
    """Images for tests."""
    videos: tuple[VideoLook, ...]
    """What was found in each video."""
    bad: tuple[BadImage, ...]
    """Videos that could not be read."""


def frames_from_videos(
    videos: Sequence[Path], output: Path, options: FrameOptions, display: Display | None = None
) -> Extracted:
    """Cuts images from videos into a domain of a data set.

    Black, blurred and nearly equal frames are left out, and black bars are cut off.

    Args:
        videos: the files.
        output: a data set in CycleGAN's layout, which is begun or gets this domain.
        options: which frames; without `every` and `most` one from the middle of each scene.
        display: shows progress.

    Raises:
        InputError: there is such a domain already, two videos have one name, or no frame is left.
        MonetError: a file cannot be written, or PyAV is not installed.
    """
    display = display or Display()
    train, test = (output / f"{part}{options.domain.upper()}" for part in ("train", "test"))
    _require_new(videos, train, test)
    every = options.every if options.most is None else seconds_between(videos, options.most)
    looks, bad = [], []
    display.begin("looking", len(videos), "videos")
    for path in videos:
        try:
            looks.append(look_at(path, every))
        except UnreadableImage as error:
            bad.append(BadImage(path, str(error)))
        display.advance()
    display.end()
    choose(looks)
    if options.most is not None:
        thin(looks, options.most)
    if not any(look.chosen for look in looks):
        read = sum(look.frames for look in looks)
        raise InputError(f"no frame is left of {read} in {len(looks)} readable videos: {_described(looks, bad)}")
    tests = scenes_for_tests(looks, options.test, options.seed)
    written: list[Path] = []
    display.begin("writing", sum(look.frames for look in looks), "frames")
    for look in looks:

        def folder_of(each: Looked, path: Path = look.path) -> Path:
            return test if (path, each.scene) in tests else train

        try:
            for path in write_frames(look, folder_of, on_frame=display.advance):
                written.append(path)  # noqa: PERF402 (what is written stays where a later frame cannot be read)
        except UnreadableImage as error:
            bad.append(BadImage(look.path, f"it changed while it was read: {error}"))
    display.end()
    for_tests = sum(path.parent == test for path in written)
    return Extracted(len(written) - for_tests, for_tests, tuple(looks), tuple(bad))


def _require_new(videos: Sequence[Path], *folders: Path) -> None:
    for folder in folders:
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder} is not empty: give another --output, or move it away")
    stems = [path.stem for path in videos]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise InputError(f"two videos are called {twice}: their frames would have the same names; rename one")


def _described(looks: Sequence[VideoLook], bad: Sequence[BadImage]) -> str:
    found = [f"{look.path} ({', '.join(f'{count} {why}' for why, count in look.left_out.items())})" for look in looks]
    return ", ".join([*found, *(f"{item.path} ({item.reason})" for item in bad)]) or "nothing"
