"""The errors that a user can cause, each with the exit code that a command returns for it."""

from __future__ import annotations

import signal


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


class Interrupted(BaseException):
    """The process was told to end, and what it had is saved. Like KeyboardInterrupt no error that anyone may swallow.

    Args:
        signal_number: the signal that ended it; the exit code is 128 plus that number.
        message: what was kept, and how to go on.
    """

    def __init__(self, signal_number: int, message: str = "stopped") -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number

    @property
    def signal_name(self) -> str:
        """The signal as a person knows it."""
        return "Ctrl-C" if self.signal_number == signal.SIGINT else signal.Signals(self.signal_number).name
