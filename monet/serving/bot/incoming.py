"""What a message holds that can be painted."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from aiogram.types import Animation, Document, Message, Video

from monet.data.pictures import SUFFIXES
from monet.inference.sources import VIDEO_SUFFIXES
from monet.serving.limits import Limits
from monet.serving.paint import name_of_painting

Kind = Literal["photo", "picture file", "video", "animation", "video note", "video file"]
"""How something was sent; its painting is sent back so, too."""

_PICTURE_SUFFIXES = (*SUFFIXES, ".gif", ".heic", ".heif", ".avif", ".jp2", ".ppm", ".tga")
"""Endings of pictures' names, where a file says nothing else about itself; whether one can be read, reading tells."""
_UNFIT = re.compile(r'[\x00-\x1f\x7f"\\/]+')
"""Characters that are no part of a name: it is sent in a header."""
_LONGEST_STEM = 100
"""Bytes."""
_LONGEST_SUFFIX = 8


@dataclass(frozen=True, kw_only=True)
class Item:
    """A picture or a video that was sent."""

    kind: Kind
    file_id: str
    """Telegram's."""
    name: str
    """Of the file; made up where it has none."""
    size: int | None = None
    """Bytes, as Telegram has it."""
    seconds: int | None = None
    """Of a video, as Telegram has it."""
    width: int | None = None
    height: int | None = None

    @property
    def is_video(self) -> bool:
        """It moves."""
        return self.kind not in ("photo", "picture file")

    @property
    def painting(self) -> str:
        """The name of the file of its painting."""
        return name_of_painting(self.name, is_video=self.is_video)

    def require(self, limits: Limits) -> None:
        """Checks what is known of it before it is fetched.

        Raises:
            Refused: it is too large or too long.
        """
        if self.size is not None:
            limits.require_file(self.size)
        if self.seconds is not None:
            limits.require_seconds(self.seconds)


def item_of(message: Message) -> Item | None:
    """Returns what can be painted of a message; of a photo the largest size. None where there is nothing."""
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        return Item(kind="photo", file_id=largest.file_id, name="photo.jpg", size=largest.file_size)
    if message.animation:  # such a message has a document, too
        return _moving("animation", message.animation)
    if message.video:
        return _moving("video", message.video)
    if note := message.video_note:
        return Item(
            kind="video note",
            file_id=note.file_id,
            name="note.mp4",
            size=note.file_size,
            seconds=note.duration,
            width=note.length,
            height=note.length,
        )
    return _file(message.document) if message.document else None


def _moving(kind: Literal["video", "animation"], video: Video | Animation) -> Item:
    return Item(
        kind=kind,
        file_id=video.file_id,
        name=_named(video.file_name, "video.mp4"),
        size=video.file_size,
        seconds=video.duration,
        width=video.width,
        height=video.height,
    )


def _file(document: Document) -> Item | None:
    """Returns a file, if it is a picture or a video by its MIME type or, where that says neither, by its name."""
    kind = _kind(document.mime_type or "", PurePath(document.file_name or "").suffix.lower())
    if kind is None:
        return None
    ending = mimetypes.guess_extension(document.mime_type or "") or ""
    name = _named(document.file_name, kind.replace(" file", ending))
    return Item(kind=kind, file_id=document.file_id, name=name, size=document.file_size)


def _kind(mime_type: str, suffix: str) -> Literal["picture file", "video file"] | None:
    if mime_type.startswith("image/"):
        return "picture file"
    if mime_type.startswith("video/"):
        return "video file"
    if suffix in _PICTURE_SUFFIXES:
        return "picture file"
    return "video file" if suffix in VIDEO_SUFFIXES else None


def _named(name: str | None, otherwise: str) -> str:
    """Returns a name that a header and a file can have."""
    fit = _UNFIT.sub("_", (name or "").encode(errors="replace").decode()).strip(" .")
    path = PurePath(fit or otherwise)
    suffix = path.suffix if len(path.suffix) <= _LONGEST_SUFFIX and path.suffix.isascii() else ""
    stem = (path.stem if suffix else path.name).encode()[:_LONGEST_STEM].decode(errors="ignore")
    return stem + suffix
