"""Pictures of any size and videos, in files and folders, through a checkpoint's generators."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from monet.data.decode import UnreadableImage, read_size
from monet.data.pictures import SUFFIXES, PictureFormat, read_picture, write_picture
from monet.data.store import BadImage
from monet.data.video import WRITTEN, frames_in
from monet.display import Display
from monet.errors import InputError
from monet.files import remove_left_behind, require_writable, written_whole
from monet.generation.translator import Translator
from monet.inference.record import NAME, Record
from monet.inference.sources import PictureSuffix, Source, Sources, listed, output_names
from monet.inference.video import TranslatedVideo, translate_video
from monet.machine import available_processors
from monet.threads import ahead, compute_threads, thread_pool

_BEST_QUALITY = 100


@dataclass(frozen=True, kw_only=True)
class TranslationOptions:
    """How translations are written."""

    suffix: PictureSuffix = "keep"
    """The format of pictures by its names' ending."""
    quality: int = 95
    """Of JPEG and WebP, 1 to 100."""
    smoothing: float = 0.0
    """Share of the statistics of normalisation that a frame of a video has from those before it, 0 to below 1."""
    rate: float | None = None
    """Frames a second of a video that are translated, at most; null for all."""

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise InputError(f"--smoothing is {self.smoothing}: give 0 to below 1")
        if self.rate is not None and not self.rate > 0:
            raise InputError(f"--fps is {self.rate}: give more than 0")
        require_quality(self.quality)


def require_quality(quality: int) -> None:
    """Checks the quality of JPEG and WebP.

    Raises:
        InputError: it is out of range.
    """
    if not 1 <= quality <= _BEST_QUALITY:
        raise InputError(f"--quality is {quality}: give 1 to {_BEST_QUALITY}")


@dataclass(frozen=True)
class Translated:
    """Result of a translation."""

    written: tuple[Path, ...]
    """Files that were written."""
    kept: int
    """Files that an earlier translation of the same sources had written."""
    bad: tuple[BadImage, ...]
    """Files that could not be read."""
    set_aside: tuple[Path, ...] = ()
    """Files that are neither pictures nor videos."""
    videos: tuple[TranslatedVideo, ...] = ()
    """Those of the written files that are videos."""
    damaged: tuple[tuple[Path, str], ...] = ()
    """Those of the kept files of whose source not all could be read, with what could not."""

    @property
    def complete(self) -> bool:
        """Everything could be read to its end."""
        return not self.bad and not self.damaged and not any(video.damage for video in self.videos)

    def lines(self, output: str) -> list[str]:
        """Returns the result in lines.

        Args:
            output: what the files were written to, as it was given.
        """
        lines = [f"wrote {len(self.written):,} into {output}" + f", {self.kept:,} were there" * (self.kept > 0)]
        if self.set_aside:
            lines.append(f"set aside, neither picture nor video: {listed(self.set_aside)}")
        lines += [str(video) for video in self.videos]
        lines += [f"{path}, which was there: {damage}" for path, damage in self.damaged]
        return lines + [f"could not be read: {item.path} ({item.reason})" for item in self.bad]


@dataclass(frozen=True)
class _Task:
    """A source, and where its translation goes."""

    source: Source
    name: PurePath
    path: Path


class PictureTranslation:
    """Translates pictures into files.

    Args:
        translator: the generators.
        options: how the files are written.
    """

    def __init__(self, translator: Translator, options: TranslationOptions) -> None:
        self._translator = translator
        self._options = options
        self._alone = threading.Lock()
        """Held by whoever works on a picture that goes in tiles: one at a time, as each takes much memory."""

    def write(self, source: Source, path: Path, on_whole: Callable[[Path], None] = lambda _: None) -> None:
        """Translates a picture, and writes it whole; `on_whole` is that of `written_whole`.

        Raises:
            UnreadableImage: it cannot be read, or not be written in this format.
            MonetError: the file cannot be written, or the weights give values that are not numbers.
        """
        width, height = read_size(source.path)
        if self._translator.in_tiles(height, width):
            with self._alone:
                self._write(source, path, on_whole)
        else:
            self._write(source, path, on_whole)

    def _write(self, source: Source, path: Path, on_whole: Callable[[Path], None]) -> None:
        picture = read_picture(source.path)
        pixels = self._translator.translate(picture.pixels, source.direction)
        kind: PictureFormat = SUFFIXES[path.suffix.lower()]
        with written_whole(path, on_whole) as file:
            write_picture(file, dataclasses.replace(picture, pixels=pixels), kind, self._options.quality)


def translate_sources(
    translator: Translator,
    sources: Sources,
    output: Path,
    *,
    settings: str,
    options: TranslationOptions,
    display: Display | None = None,
    workers: int | None = None,
) -> Translated:
    """Translates files into a folder. What an earlier call has written there of the same files is kept.

    Args:
        translator: the generators.
        sources: the files.
        output: the folder, which is made if it is not there.
        settings: a digest of the checkpoint and of all else that the pixels depend on.
        options: how the files are written.
        display: shows progress.
        workers: pictures at a time; by default one a processor.

    Raises:
        InputError: an output would replace a file that no translation has written, or a direction is not trained.
        MonetError: a file cannot be written, or the weights give values that are not numbers.
    """
    _require_directions(translator, sources.files)
    names = output_names(sources.files, options.suffix)
    tasks = [_Task(source, name, output / name) for source, name in zip(sources.files, names, strict=True)]
    record = Record(output, hashlib.sha256(f"{settings} {options}".encode()).hexdigest())
    _left(tasks, record)  # refuses before anything is made
    _make_folder(output)
    with record.held():
        left = _left(tasks, record)
        for folder in {task.path.parent for task in left}:
            remove_left_behind(folder, {task.path.name for task in tasks if task.path.parent == folder}.__contains__)
        display = display or Display()
        pictures = [task for task in left if not task.source.is_video]
        written, bad = _translate_pictures(translator, pictures, record, options, display, workers)
        videos = []
        for task in left:
            if task.source.is_video:
                note = functools.partial(record.note, task.source, task.name)
                try:
                    videos.append(_translate_video(translator, task.source, task.path, options, display, note))
                except UnreadableImage as error:
                    bad.append(BadImage(task.source.path, str(error)))
        to_do = set(left)
        kept = [(task.path, record.damage(task.name)) for task in tasks if task not in to_do]
    written += [video.path for video in videos]
    damaged = tuple((path, damage) for path, damage in kept if damage)
    return Translated(tuple(written), len(kept), tuple(bad), sources.set_aside, tuple(videos), damaged)


def translate_to_file(
    translator: Translator,
    source: Source,
    path: Path,
    options: TranslationOptions,
    display: Display | None = None,
) -> Translated:
    """Translates a picture or a video into a new file of its own name.

    Raises:
        InputError: the source cannot be read, the name's ending is of no format, or something is there already.
        MonetError: the file cannot be written, or the weights give values that are not numbers.
    """
    _require_directions(translator, [source])
    known = WRITTEN if source.is_video else SUFFIXES
    if path.suffix.lower() not in known:
        raise InputError(f"{path} is of no format by its name: give one that ends in {', '.join(sorted(known))}")
    if os.path.lexists(path):
        raise InputError(f"{path} is there already: remove it, or give another name")
    require_writable(path)
    try:
        if source.is_video:
            video = _translate_video(translator, source, path, options, display or Display())
            return Translated((path,), 0, (), videos=(video,))
        PictureTranslation(translator, options).write(source, path)
    except UnreadableImage as error:
        raise InputError(f"{source.path} cannot be translated: {error}") from error
    return Translated((path,), 0, ())


def _translate_video(
    translator: Translator,
    source: Source,
    path: Path,
    options: TranslationOptions,
    display: Display,
    on_whole: Callable[[Path, str | None], None] = lambda *_: None,
) -> TranslatedVideo:
    display.begin(source.path.name, frames_in(source.path), "frames")
    video = translate_video(
        translator,
        source,
        path,
        smoothing=options.smoothing,
        rate=options.rate,
        on_frame=lambda _: display.advance(),
        on_whole=on_whole,
    )
    display.end()
    return video


def _require_directions(translator: Translator, sources: Sequence[Source]) -> None:
    for source in sources:
        if source.direction not in translator.directions:
            raise InputError(
                f"{source.path} is to be translated in the direction {source.direction}, which this checkpoint has not "
                "learned (training.lambda_cycle is 0): give --direction ab, or another checkpoint"
            )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {folder} is no folder that can be made: {error.strerror}") from error


def _left(tasks: Sequence[_Task], record: Record) -> list[_Task]:
    """Returns the tasks that are not done, all of whose names are free."""
    left = [task for task in tasks if not record.is_done(task.source, task.name)]
    for task in left:
        _require_free(task, record)
    return left


def _require_free(task: _Task, record: Record) -> None:
    """Checks that a name is free, or that of a file that a translation has written."""
    if not os.path.lexists(task.path) or (record.has_written(task.name) and not task.path.is_symlink()):
        require_writable(task.path)
        return
    what = "is an original" if _is_same(task.path, task.source.path) else f"is there, and {NAME} does not know it"
    raise InputError(f"{task.path} {what}: give another --output")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _translate_pictures(
    translator: Translator,
    tasks: Sequence[_Task],
    record: Record,
    options: TranslationOptions,
    display: Display,
    workers: int | None,
) -> tuple[list[Path], list[BadImage]]:
    """Translates pictures, several at a time; returns what is written, and what cannot be read."""
    pictures, workers = PictureTranslation(translator, options), workers or available_processors()

    def translate(task: _Task) -> BadImage | None:
        try:
            pictures.write(task.source, task.path, functools.partial(record.note, task.source, task.name))
        except UnreadableImage as error:
            return BadImage(task.source.path, str(error))
        return None

    on_cpu = translator.device.type == "cpu"
    written: list[Path] = []
    bad: list[BadImage] = []
    if not tasks:
        return written, bad
    display.begin("translating", len(tasks), "pictures")
    with compute_threads(workers) if on_cpu else thread_pool(workers) as pool:
        waiting = ((task, pool.submit(translate, task)) for task in tasks)
        for task, future in ahead(waiting, 2 * workers):
            if problem := future.result():
                bad.append(problem)
            else:
                written.append(task.path)
            display.advance()
    display.end()
    return written, bad
