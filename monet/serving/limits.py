"""What strangers may send, and what they are told where it is too much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from monet.clock import Clock
from monet.data.decode import UnreadableImage, opened
from monet.data.video import Frame, Video
from monet.errors import MonetError

Reason = Literal["no picture", "no video", "large file", "many pixels", "long video", "slow"]
"""Why something is not painted."""

_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM", "TGA")
_MEGA = 1_000_000
MEBI = 1_048_576
"""Bytes of what Telegram and gradio call a megabyte."""


class Refused(MonetError):
    """Something that was sent cannot be painted.

    Args:
        reason: which kind of reason, for whoever says it in another language.
        message: one line in English.
        values: the numbers in it, by name.
    """

    def __init__(self, reason: Reason, message: str, **values: object) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.values = values


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is painted at most."""

    megabytes: float = 20.0
    """Of a file, in units of 1,048,576 bytes, as Telegram and gradio count them."""
    megapixels: float = 24.0
    """Of a picture, or of a frame of a video."""
    side: int = 12_000
    """Pixels of a picture's longer side."""
    clip: float = 30.0
    """Seconds of a video."""
    patience: float = 600.0
    """Seconds that a video may take."""

    @property
    def bytes(self) -> int:
        """Of a file."""
        return int(self.megabytes * MEBI)

    def require_file(self, size: int) -> None:
        """Checks the size of a file, in bytes.

        Raises:
            Refused: it is too large.
        """
        if size > self.bytes:
            has, most = _short(size / MEBI), _short(self.megabytes)
            raise Refused("large file", f"{has} MB is too large: send at most {most} MB", has=has, most=most)

    def require_picture(self, path: Path) -> tuple[int, int]:
        """Checks a picture by its size and its header alone.

        Returns:
            Its width and height, as stored.

        Raises:
            Refused: it is none, or too large.
        """
        self.require_file(path.stat().st_size)
        try:
            with opened(path) as image:
                width, height, kind = image.width, image.height, image.format
        except UnreadableImage as error:
            raise not_a_picture(error) from error
        if kind not in _FORMATS:  # others hold pictures of another size than they say, or programs
            raise not_a_picture(UnreadableImage(f"{kind}"))
        self.require_size(width, height)
        return width, height

    def require_video(self, path: Path) -> None:
        """Checks a video by its size and its header alone.

        Raises:
            Refused: it is none, too large or too long.
        """
        self.require_file(path.stat().st_size)
        try:
            with Video(path) as video:
                self.require_seconds(video.seconds or 0.0)
                self.require_size(video.stream.width, video.stream.height)
        except UnreadableImage as error:
            raise not_a_video(error) from error

    def require_seconds(self, seconds: float) -> None:
        """Checks how long a video is.

        Raises:
            Refused: it is too long.
        """
        if seconds > self.clip:
            has, most = _short(seconds), _short(self.clip)
            raise Refused("long video", f"{has} s is too long: send at most {most} s", has=has, most=most)

    def require_size(self, width: int, height: int) -> None:
        """Checks the size of a picture or a frame, in pixels.

        Raises:
            Refused: it is too large.
        """
        if width * height > self.megapixels * _MEGA or max(width, height) > self.side:
            most = f"{_short(self.megapixels)} million pixels, {self.side:,} a side"
            raise Refused(
                "many pixels",
                f"{width:,} × {height:,} pixels are too many: send at most {most}",
                width=f"{width:,}",
                height=f"{height:,}",
                megapixels=_short(self.megapixels),
                side=f"{self.side:,}",
            )


class Watch:
    """Ends work on a video that takes longer, or is longer or larger, than is allowed, whatever its header says.
    Call it with every frame.

    Args:
        limits: the seconds that are allowed.
        clock: in seconds.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._end = clock() + limits.patience
        self._limits = limits
        self._clock = clock

    def __call__(self, frame: Frame) -> None:
        """Looks at a frame and at the clock.

        Raises:
            Refused: the video is too long or too large, or the time is over.
        """
        self._limits.require_seconds(float(frame.time))
        self._limits.require_size(frame.native.width, frame.native.height)
        if self._clock() > self._end:
            most = _short(self._limits.patience)
            raise Refused("slow", f"painting this takes longer than {most} s: send something shorter", most=most)


def not_a_picture(error: UnreadableImage) -> Refused:
    """Returns what is said of a file that is no picture."""
    return Refused("no picture", f"this is not a readable picture ({error}): send JPEG, PNG or WebP")


def not_a_video(error: UnreadableImage) -> Refused:
    """Returns what is said of a file that is no video."""
    return Refused("no video", f"this is not a readable video ({error}): send MP4, MOV or WebM")


def _short(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")
