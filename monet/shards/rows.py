"""The rows of a shard: a picture each, before and after."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from monet.errors import shortened

OK = "ok"
_LONGEST_REASON = 200
_LONGEST_PART, _LONGEST_PATH = 240, 2000
"""Bytes of names that are written."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Stopped(Exception):
    """The work was asked to stop between two pictures; what was being written is gone."""


@dataclass(frozen=True)
class Item:
    """A picture of a shard."""

    id: int
    """Its number, as the shard has it; its place where the shard has none."""
    name: str
    """Its name, with the ending of its format; a path with slashes below the shard's folder."""
    data: bytes | None
    """The file's bytes; None where they are not there."""
    problem: str | None = None
    """Why it cannot be used, where that is known."""


@dataclass(frozen=True)
class Painted:
    """A picture, painted, or why it was not."""

    id: int
    """As of the item."""
    name: str
    """As of the item, with the ending of the format in which it is written."""
    data: bytes | None
    """The file's bytes."""
    sha256: str | None
    """Of these bytes."""
    status: str
    """`ok`, or why there is no picture."""


def reason(text: str) -> str:
    """Returns why a picture cannot be used, as a row keeps it: one line, and not too long."""
    return shortened(text, _LONGEST_REASON) or "unknown"


def unsafe(name: str) -> str | None:
    """Returns why nothing may be written under a stranger's name; None where it may."""
    path = PurePosixPath(name)
    if not name or name.endswith("/") or not path.name:
        return "it has no name"
    windows = os.name == "nt" and ("\\" in name or ":" in name)
    if path.is_absolute() or ".." in path.parts or windows:
        return "its name leads outside of the folder"
    if _CONTROL.search(name):
        return "its name holds control characters"
    if any(len(os.fsencode(part)) > _LONGEST_PART for part in path.parts) or len(os.fsencode(name)) > _LONGEST_PATH:
        return "its name is too long"
    return None
