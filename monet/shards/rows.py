"""The rows of a shard: a picture each, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from monet.errors import shortened

OK = "ok"
_LONGEST_REASON = 200


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
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        return "its name leads outside of the folder"
    if not name.isprintable():
        return "its name holds control characters"
    if any(len(part.encode(errors="surrogatepass")) > 240 for part in path.parts):
        return "its name is too long"
    return None
