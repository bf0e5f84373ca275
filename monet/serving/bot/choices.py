"""What each person has chosen: style and strength, kept in one file."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monet.errors import InputError, MonetError, first_line
from monet.files import require_writable, write_json
from monet.models import DIRECTIONS, Direction

_MARK = "monet bot choices"
_VERSION = 1
_MOST_USERS = 20_000
"""Of whom choices are kept; those who chose longest ago are forgotten first. A file of 2 MB."""
_MOST_BYTES = 16 * 2**20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What somebody has chosen."""

    model: str | None = None
    """A model's name; null for the first that is offered."""
    direction: Direction = "ab"
    strength: int = 100
    """Percent of the painting in what is sent back, 0 to 100."""

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise ValueError(f"direction is {self.direction!r}: expected one of {DIRECTIONS}")
        if type(self.strength) is not int or not 0 <= self.strength <= 100:
            raise ValueError(f"strength is {self.strength!r}: expected 0 to 100")
        if self.model is not None and not isinstance(self.model, str):
            raise ValueError(f"model is {self.model!r}: expected a name")


class Choices:
    """The choices of all people, in memory and in a file.

    A file that is damaged, or something else, is set aside with a warning, and all begin anew.

    Args:
        path: a JSON file; it is written with the first choice.

    Raises:
        InputError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        require_writable(path)
        self._path = path
        self._writing = threading.Lock()
        self._by_user: dict[int, Choice] = {}
        try:
            self._by_user = _read(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            aside = _set_aside(path)
            _log.warning("%s holds no choices (%s): it is %s now", path, first_line(error), aside)

    def of(self, user: int) -> Choice:
        """Returns what somebody has chosen, or the defaults."""
        return self._by_user.get(user, Choice())

    def change(self, user: int, **values: Any) -> Choice:
        """Changes fields of somebody's choice, here and in the file; a file that cannot be written is logged.

        Returns:
            The choice.
        """
        with self._writing:
            choice = dataclasses.replace(self._by_user.pop(user, Choice()), **values)
            self._by_user[user] = choice
            while len(self._by_user) > _MOST_USERS:
                del self._by_user[next(iter(self._by_user))]
            users = {str(user): vars(choice) for user, choice in self._by_user.items()}
            try:
                write_json(self._path, {_MARK: _VERSION, "users": users})
            except MonetError as error:
                _log.warning("a choice will be forgotten with this process: %s", error)
        return choice


def _read(path: Path) -> dict[int, Choice]:
    """Reads choices.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or something else.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError("it is far too large")
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content.get(_MARK) != _VERSION or not isinstance(content.get("users"), dict):
        raise ValueError(f"it has no {_MARK!r} of version {_VERSION}")
    fields = {field.name for field in dataclasses.fields(Choice)}
    for user, values in content["users"].items():
        if not isinstance(values, dict) or set(values) != fields:
            raise ValueError(f"user {user:.20} has other fields than {', '.join(sorted(fields))}")
    return {int(user): Choice(**values) for user, values in content["users"].items()}


def _set_aside(path: Path) -> Path:
    """Gives a file another name; returns that."""
    for number in itertools.count(1):
        aside = path.with_name(f"{path.name}.damaged" + (f"-{number}" if number > 1 else ""))
        if not os.path.lexists(aside):
            return path.rename(aside)
    raise AssertionError
