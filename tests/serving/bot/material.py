"""Small files that people send."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from tests.conftest import picture
from tests.videos import Shot, write_video


def image(seed: int, kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    picture(seed, size).save(file, kind)
    return file.getvalue()


def video(folder: Path, frames: int = 6, name: str = "clip.mp4") -> bytes:
    """A video's file."""
    path = folder / name
    write_video(path, [Shot(3, frames)], size=(48, 64), sound=False)
    return path.read_bytes()


def blank(size: tuple[int, int]) -> bytes:
    """A PNG file of one colour: few bytes, however many pixels."""
    file = io.BytesIO()
    Image.new("RGB", size).save(file, "PNG")
    return file.getvalue()
