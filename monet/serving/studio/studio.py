"""What every part of the page works with."""

from __future__ import annotations

import contextlib
import functools
import html
import logging
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from monet.clock import Clock
from monet.data.pixels import Pixels, to_jpeg
from monet.display import Display
from monet.errors import MonetError, shortened
from monet.run_folder.folder import RunFolder
from monet.serving.limits import Limits
from monet.serving.models import Models

logger = logging.getLogger(__name__)

PAINTING: dict[str, Any] = {"concurrency_id": "paint", "concurrency_limit": 2}
"""Of events that paint: two at a time, so that one is read while the other is painted; the others wait in the queue."""

KEPT_SECONDS = 3600
"""Time after which what was sent, and what was painted of it, is removed."""
_PREVIEW_SIDE = 1400
"""Pixels of the longer side of what the page shows; what is downloaded is whole."""
_PREVIEW_QUALITY = 92


@dataclass(frozen=True, kw_only=True)
class Studio:
    """All that the page offers."""

    models: Models
    """What paints."""
    limits: Limits
    """What may be sent."""
    runs: tuple[RunFolder, ...] = ()
    """Runs that are shown."""
    photos: Path | None = None
    """The folder of which archives are painted; without it none are."""
    clock: Clock
    """Seconds since 1970, as files have them."""
    work: Path
    """A folder for what is painted; what is older than an hour is removed."""
    examples: tuple[Path, ...] = ()
    """Photos to try."""

    def new_folder(self) -> Path:
        """Makes a folder for a result, and removes those that are old."""
        self.work.mkdir(parents=True, exist_ok=True)
        oldest = self.clock() - KEPT_SECONDS
        for folder in self.work.iterdir():
            with contextlib.suppress(OSError):
                old = folder.stat().st_mtime < oldest  # what is in it may still be written
                if old and all(entry.stat().st_mtime < oldest for entry in folder.rglob("*")):
                    shutil.rmtree(folder)
        made = self.work / uuid.uuid4().hex
        made.mkdir()
        return made


class ProgressDisplay(Display):
    """Shows the progress of long work on the page.

    Args:
        progress: gradio's, of the function that is called.
    """

    def __init__(self, progress: Callable[..., Any]) -> None:
        self._progress = progress
        self._stage, self._done, self._total, self._unit = "", 0, 1, ""

    def begin(self, stage: str, total: int, unit: str) -> None:
        """Begins a stage."""
        self._stage, self._done, self._total, self._unit = stage, 0, max(1, total), unit
        self._progress((0, self._total), desc=stage, unit=unit)

    def advance(self, count: int = 1) -> None:
        """Counts units that are done."""
        self._done = min(self._total, self._done + count)
        self._progress((self._done, self._total), desc=self._stage, unit=self._unit)


def preview(pixels: Pixels, path: Path) -> Path:
    """Writes a picture as the page shows it."""
    longest = max(pixels.shape[:2])
    if longest > _PREVIEW_SIDE:
        image = Image.fromarray(pixels)
        image.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
    path.write_bytes(to_jpeg(np.ascontiguousarray(pixels), _PREVIEW_QUALITY))
    return path


def as_page_error(function: Callable[..., Any], *, drawn: bool = True) -> Callable[..., Any]:
    """Lets a function tell its errors in one line, without a trace of where they come from.

    Args:
        function: called by a page or a program.
        drawn: a page draws the errors, as markup.
    """

    @functools.wraps(function)
    def telling(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except gr.Error:
            raise
        except MonetError as error:
            raise failure(str(error), drawn=drawn) from error
        except Exception as error:
            logger.exception("a request failed")
            raise failure("something went wrong; the studio's log says what", drawn=drawn) from error

    return telling


def failure(message: str, *, drawn: bool = True) -> gr.Error:
    """Returns an error as a page draws it, or as a program reads it."""
    return gr.Error(html.escape(shortened(message, 400)) if drawn else message, print_exception=False)
