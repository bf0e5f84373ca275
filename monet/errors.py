"""The errors that a user can cause, each with the exit code that a command returns for it."""

from __future__ import annotations

import difflib
import re
import signal
from collections.abc import Iterable

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def shortened(text: str, most: int = 2_000) -> str:
    """Shortens a text to one line, with its middle left out where it is longer than `most` characters."""
    line = _CONTROL.sub(" ", text[:most] + text[max(most, len(text) - most) :]).strip()
    half = most // 2
    return line if len(line) <= most else f"{line[: half - 1]} … {line[-half + 2 :]}"


def shown(value: object, most: int = 80) -> str:
    """Returns a value for an error message, text in quotes: on one line, and no longer than `most` characters or so."""
    if isinstance(value, str):
        return repr(shortened(value, most))
    try:
        return shortened(repr(value), most)
    except ValueError:
        return "a number of thousands of digits"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for a near miss, else nothing. A bare field name finds its group."""
    known = list(known)
    by_field = {key.rsplit(".", 1)[-1].lstrip("-"): key for key in known}
    if close := difflib.get_close_matches(name, known, n=1):
        return f"; did you mean {close[0]}?"
    if close := difflib.get_close_matches(name.rsplit(".", 1)[-1].lstrip("-"), by_field, n=1):
        return f"; did you mean {by_field[close[0]]}?"
    return ""


def first_line(error: BaseException, otherwise: str = "no reason") -> str:
    """The first line of an error's message: some libraries tell whole stories.

    Args:
        error: of any kind.
        otherwise: what is returned where it has no message.
    """
    return (str(error).strip() or otherwise).splitlines()[0]


class MonetError(Exception):
    """A run failed, or a check says no. The message is one line: what was found, where, and what to do."""

    exit_code = 1


class InputError(MonetError):
    """Wrong use or bad input: an option, a setting, a file or a folder that cannot be used as given."""

    exit_code = 2


class LostProcess(MonetError):
    """Another process of a run ended without a word to this one."""


class FailedElsewhere(MonetError):
    """The first process of a run failed, and says why itself.

    Args:
        message: says that.
        exit_code: what this process is to return.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Interrupted(KeyboardInterrupt):
    """The process was asked to stop, and its work is saved. No error that anyone may swallow; libraries that run loops
    of their own, such as asyncio, let it through because it is a KeyboardInterrupt.

    Args:
        signal_number: the signal that ended it; the exit code is 128 plus that number.
        message: what was kept, and how to continue.
    """

    def __init__(self, signal_number: int, message: str = "stopped") -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number

    @property
    def signal_name(self) -> str:
        """The signal as a person knows it."""
        return "Ctrl-C" if self.signal_number == signal.SIGINT else signal.Signals(self.signal_number).name
