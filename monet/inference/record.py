"""What a translation has written into a folder, so that the next one does what is left."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from monet.errors import InputError, MonetError
from monet.files import add_line, irregular_kind
from monet.inference.sources import Source
from monet.locks import Held, NoLocks, open_locked

NAME = ".translated.jsonl"
"""In the folder that is written to: a line a file. Hidden, so that no translation of that folder takes it."""
_FIELDS = {"name", "written", "before", "source", "source_status", "settings", "damage"}
_MOST_BYTES = 2**30
_LONGEST_TEXT = 1000


class Record:
    """The files that translations have written into a folder, each with what it was made of.

    Args:
        folder: the folder, which is there.
        settings: a digest of all that a translation depends on but its source.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        self.path = folder / NAME
        self._folder = folder
        self._settings = settings
        self._entries = _read(self.path)

    def has_written(self, name: PurePath) -> bool:
        """Returns whether a file of this name, as it is, was written by a translation."""
        entry = self._entries.get(str(name))
        status = _status(self._folder / name)
        return entry is not None and status is not None and status in (entry["written"], entry["before"])

    def is_done(self, source: Source, name: PurePath) -> bool:
        """Returns whether a file of this name, as it is, was made of this source, as it is, with these settings."""
        entry, status = self._entries.get(str(name)), _status(self._folder / name)
        if entry is None or status is None or entry["written"] != status:
            return False
        return all(entry[key] == value for key, value in self._made_of(source).items())

    def damage(self, name: PurePath) -> str | None:
        """Returns what could not be read of the source of a file that is done."""
        return self._entries[str(name)]["damage"]

    def note(self, source: Source, name: PurePath, whole: Path, damage: str | None = None) -> None:
        """Notes a file that is complete, before it takes its name: whenever a kill comes, the one that was there before
        is known, and the new one.

        Args:
            source: what it was made of.
            name: that it will have.
            whole: the file, where it is still called otherwise.
            damage: what of the source could not be read.

        Raises:
            MonetError: that cannot be noted.
        """
        before = _status(self._folder / name) if self.has_written(name) else None
        made_of = self._made_of(source)
        entry = {"name": str(name), "written": _status(whole), "before": before, **made_of, "damage": damage}
        try:
            add_line(self.path, json.dumps(entry))
        except OSError as error:
            raise MonetError(f"cannot write {self.path}: {error.strerror}; what is written so far is whole") from error

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other translations out of the folder.

        Raises:
            InputError: there is one.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(open_locked(self.path))
            except Held:
                wrong = f"another translation writes into {self._folder}: wait for it, or give another --output"
                raise InputError(wrong) from None
            except NoLocks:
                pass
            except OSError as error:
                raise InputError(f"{self.path} cannot be used: {error.strerror}; remove it") from error
            self._entries = _read(self.path)
            yield

    def _made_of(self, source: Source) -> dict[str, Any]:
        settings = f"{self._settings} {source.direction}"
        return {"source": str(source.name), "source_status": _status(source.path), "settings": settings}


def _status(path: Path) -> list[int] | None:
    """Returns size and time of the last change of a file, in bytes and nanoseconds."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Returns the latest entry of every name; lines that are none, such as one torn by a kill, are left out."""
    entries: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(OSError):
        if irregular_kind(path) is None and path.stat().st_size <= _MOST_BYTES:
            for line in path.read_bytes().splitlines():
                with contextlib.suppress(ValueError, RecursionError):
                    entry = json.loads(line)
                    if isinstance(entry, dict) and set(entry) >= _FIELDS and _is_text(entry["damage"]):
                        entries[str(entry["name"])] = entry
    return entries


def _is_text(value: Any) -> bool:
    return value is None or (type(value) is str and len(value) <= _LONGEST_TEXT and value.isprintable())
