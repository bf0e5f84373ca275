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
_FIELDS = {"name", "written", "source", "source_status", "settings"}
_NOTHING: list[int] = []
"""The status of a file that was not written."""
_MOST_BYTES = 2**30


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
        """Returns whether a file of this name, as it is, was written by a translation, or may be by one that was killed
        while it wrote."""
        entry = self._entries.get(str(name))
        return entry is not None and entry["written"] in (None, _status(self._folder / name))

    def is_done(self, source: Source, name: PurePath) -> bool:
        """Returns whether a file of this name, as it is, was made of this source, as it is, with these settings."""
        entry = self._entries.get(str(name), {})
        if not entry or entry["written"] is None or entry["written"] != _status(self._folder / name):
            return False
        return all(entry[key] == value for key, value in self._made_of(source).items())

    @contextlib.contextmanager
    def written(self, source: Source, name: PurePath) -> Iterator[None]:
        """Notes a file that is written in the block: before, so that it is known whenever a kill comes, and after.

        Where the block fails, what was known of the name holds again.

        Raises:
            MonetError: that cannot be noted.
        """
        entry = {"name": str(name), "written": None, **self._made_of(source)}
        self._add(entry)
        try:
            yield
        except BaseException:
            self._add(self._entries.get(str(name), {**entry, "written": _NOTHING}))
            raise
        self._add({**entry, "written": _status(self._folder / name)})

    def _add(self, entry: dict[str, Any]) -> None:
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
                    if isinstance(entry, dict) and set(entry) >= _FIELDS:
                        entries[str(entry["name"])] = entry
    return entries
