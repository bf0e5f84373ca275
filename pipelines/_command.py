"""What every command does the same way: options, errors, signals, logging."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import logging
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from monet.errors import FailedElsewhere, InputError, Interrupted, MonetError, shortened
from monet.workflow.display import Interrupts
from pipelines._processes import is_first, is_one_of_several, speaker

_ECHO = 1.0
"""Seconds in which a second signal is the first one again, as a terminal and torchrun both send it on Ctrl-C."""
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What the system cannot do, whatever file it is about: no mistake of the command line."""
AT_END: list[Callable[[], None]] = []
"""Called when a command ends, however it ends, before its error is printed: closes progress bars."""


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are `InputError`s."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{shortened(message, 400)}; {self.prog} --help shows the options")


def command_parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser for `python -m pipelines.<name>`, with `--debug`."""
    parser = _Parser(
        prog=f"python -m pipelines.{name}",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks and debug messages")
    return parser


def run_command(
    main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None, *, several: bool = False
) -> int:
    """Runs a command and turns its errors into one line and an exit code.

    Args:
        main: takes the command line and returns the exit code.
        arguments: the command line; that of the process by default.
        several: the command knows what to do where torchrun starts several processes.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    _set_up_logging(debug)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without × is no reason to fail
    try:
        Signals()  # from the first slow import on
        if is_one_of_several() and not several:
            wrong = "torchrun is for submit and train: start this command without it"
            raise InputError(wrong) if is_first() else FailedElsewhere(wrong, InputError.exit_code)
        try:
            return main(arguments)
        finally:
            while AT_END:
                AT_END.pop()()
    except (MonetError, Interrupted) as error:
        if debug:
            traceback.print_exc()
        if is_first() or not isinstance(error, (FailedElsewhere, Interrupted)):
            prefix = f"{error.signal_name}: " if isinstance(error, Interrupted) else "error: "
            print(f"{speaker()}{prefix}{shortened(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        if debug:
            traceback.print_exc()
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        print(f"{speaker()}error: {shortened(f'{where}{error.strerror or error}')}", file=sys.stderr)
        return InputError.exit_code if where and error.errno not in _OF_THE_MACHINE else MonetError.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"error: {type(error).__name__}: {error} (unexpected: --debug shows where)", file=sys.stderr)
        return 1


class Signals(Interrupts):
    """Ctrl-C and SIGTERM: at once as `Interrupted`, or, while deferred, after the step that is being taken."""

    def __init__(self) -> None:
        self._deferred = False
        self._received_at = 0.0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[Callable[[], bool]]:
        """While open, the first signal makes the function true; a second one ends the command at once."""
        self._deferred = True
        try:
            yield lambda: self.received is not None
        finally:
            self._deferred = False

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.received is not None and time.monotonic() - self._received_at < _ECHO:
            return
        if not self._deferred or self.received is not None:
            raise Interrupted(number, "stopped")
        self.received, self._received_at = number, time.monotonic()
        if is_first():
            print("\nstopping after this step; once more to stop at once", file=sys.stderr)


def _set_up_logging(debug: bool) -> None:
    warnings.filterwarnings("ignore", module="PIL")  # remarks about damaged files, which are reported by name
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger("monet")
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    root.propagate = False
