"""What is done: a small file for each shard, beside the results. It is written last, and it alone says what is left."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from monet.errors import InputError
from monet.shards import store
from monet.shards.rows import reason

FOLDER = "manifest"
"""In the folder of the results."""
SETTINGS = ".settings"
"""Ending of the file that says what a result's digits stand for."""
DIGITS = 16
"""Of the settings' SHA-256 in a result's name."""
_MOST_BAD = 1000
"""Pictures that a row names; Parquet results have a reason for every one."""
_MOST_BYTES = 2**22
_READERS = 16


@dataclass(frozen=True, kw_only=True)
class Row:
    """A shard that was worked on."""

    shard: str
    """Its name."""
    source: str
    """Its address."""
    identity: str
    """Of its content."""
    output: str
    """The result, below the folder of the results."""
    images: int = 0
    """Pictures that it holds."""
    painted: int = 0
    """Those that are painted."""
    bad: tuple[tuple[str, str], ...] = ()
    """Names of those that are not, with the reasons; the first thousand."""
    bytes: int = 0
    """Of the paintings."""
    seconds: float = 0.0
    """That it took."""
    weights: str = ""
    """SHA-256 of the generator's weights."""
    settings: str = ""
    """SHA-256 of the weights and of all settings that the pixels depend on."""
    problem: str | None = None
    """Why nothing was painted at all."""

    def with_bad(self, bad: Sequence[tuple[str, str]]) -> Row:
        """Returns it with some of the pictures that could not be painted."""
        return dataclasses.replace(self, bad=tuple((reason(name), why) for name, why in bad[:_MOST_BAD]))


class Manifest:
    """The rows in a folder of results.

    Args:
        folder: a path or an address.
        settings: SHA-256 of the weights and settings; rows of others do not count.
    """

    def __init__(self, folder: str, settings: str) -> None:
        self._folder = folder
        self._settings = settings

    def address(self, result: str) -> str:
        """Returns where the row of a result is."""
        return store.below(self._folder, f"{FOLDER}/{result}.json")

    def write_settings(self, about: str) -> None:
        """Writes what the digits in the results' names stand for, once.

        Args:
            about: it, as JSON.

        Raises:
            MonetError: it cannot be written.
        """
        address = store.below(self._folder, f"{FOLDER}/{self._settings[:DIGITS]}{SETTINGS}")
        if store.entry(address) is None:
            with store.written(address) as file:
                file.write(f"{about}\n".encode())

    def write(self, row: Row) -> None:
        """Writes a row, after its result.

        Raises:
            MonetError: it cannot be written.
        """
        text = json.dumps(dataclasses.asdict(row), ensure_ascii=True)
        with store.written(self.address(row.output)) as file:
            file.write(f"{text}\n".encode())

    def read(self, result: str, identity: str) -> Row | None:
        """Returns the row of a result; None where the shard, as it is, has not been done with these settings.

        Raises:
            MonetError: the store does not answer.
        """
        row = self._read(result)
        return row if row and (row.identity, row.settings) == (identity, self._settings) else None

    def _read(self, result: str) -> Row | None:
        """Returns the row of a result; None where there is none, or it says that nothing was done."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError, InputError):
            data = store.read_bytes(self.address(result))
            if len(data) <= _MOST_BYTES:
                row = _row(json.loads(data))
                if row.output == result and row.problem is None:
                    return row
        return None

    def done(self, wanted: Sequence[tuple[str, str]]) -> list[Row | None]:
        """Returns the rows of results, `read` for each pair of a result and an identity.

        Raises:
            MonetError: as `read`.
        """
        there = self._there
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(lambda pair: self.read(*pair) if pair[0] in there else None, wanted))

    def others(self, results: Sequence[str]) -> set[str]:
        """Returns results of these settings that have a row, besides those that are named.

        Raises:
            MonetError: as `read`.
        """
        digits = self._settings[:DIGITS]
        mine = {name for name in self._there if name.endswith(f"-{digits}") or name.startswith(f"{digits}/")}
        others = sorted(mine - set(results))
        with ThreadPoolExecutor(_READERS) as pool:
            return {name for name, row in zip(others, pool.map(self._read, others), strict=True) if row}

    @cached_property
    def _there(self) -> frozenset[str]:
        """Returns the results that have a row, asked once for all."""
        return frozenset(name.removesuffix(".json") for name in self._names() if name.endswith(".json"))

    def _names(self) -> Iterator[str]:
        folder = store.below(self._folder, FOLDER)
        if store.is_remote(folder):
            with contextlib.suppress(InputError):
                yield from (entry.name for entry in store.listed_below(folder))
            return
        yield from (path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.json"))


def _row(values: dict[str, object]) -> Row:
    """Returns a row that a file holds.

    Raises:
        ValueError, TypeError, KeyError: it holds none.
    """
    types = {"images": int, "painted": int, "bytes": int, "seconds": (int, float)}
    for field in dataclasses.fields(Row):
        value = values[field.name]
        if field.name == "bad":
            if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
                raise ValueError("bad is no list of pairs")
        elif field.name == "problem":
            if value is not None and not isinstance(value, str):
                raise ValueError("problem is no text")
        elif not isinstance(value, types.get(field.name, str)):  # type: ignore[arg-type]
            raise ValueError(f"{field.name} is of another type")
    known = {field.name: values[field.name] for field in dataclasses.fields(Row)}
    known["bad"] = tuple((str(name), str(why)) for name, why in values["bad"])  # type: ignore[attr-defined]
    return Row(**known)  # type: ignore[arg-type]
