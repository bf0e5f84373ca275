"""Options, errors and exit codes of every command."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from monet.errors import FailedElsewhere, InputError, Interrupted, MonetError, first_line, shortened
from pipelines import _program
from pipelines._logging import set_up_logging
from pipelines._memory import is_about_memory, require_room_for_torch
from pipelines._processes import check_processes, is_first, is_one_of_several, speaker
from pipelines._signals import SIGNALS
from pipelines._streams import standard_streams

_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of the system, whatever file they are about: no mistake of the command line."""
_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
_LONGEST_LINE = 600
"""Characters of an error; a longer one, as of a path of thousands, is told without its middle."""
_FIRST_SPEAKS = 2.0
"""Seconds that a process waits that ends because the first one failed: torchrun ends all others with the first that
ends, and would end the one that says why."""
AT_END: list[Callable[[], None]] = []
"""Called when a command ends, however it ends, before its error is printed: closes progress bars."""


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are `InputError`s, and for which an empty word is no path: it comes of a variable
    that is not set, and `Path` takes it for the current folder."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register("type", Path, lambda word: Path(place(word)))

    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{shortened(message, 400)}; {self.prog} --help shows the options")


def place(word: str) -> str:
    """Returns a word that names a file, a folder or an address, for the `type` of an option.

    Raises:
        argparse.ArgumentTypeError: it is empty.
    """
    if not word:
        raise argparse.ArgumentTypeError("the name is empty")
    return word


def command_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Returns a parser for `monet <name>` or `python -m pipelines.<name>`, with `--debug`."""
    parser = _Parser(
        prog=f"{_program.NAME}{name}",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks and debug messages")
    return parser


def run_command(
    main: Callable[[Sequence[str]], int],
    arguments: Sequence[str] | None = None,
    *,
    several: bool = False,
    torch: bool = True,
) -> int:
    """Runs a command and turns its errors into one line and an exit code.

    Args:
        main: takes the command line and returns the exit code.
        arguments: the command line; that of the process by default.
        several: the command knows what to do where torchrun starts several processes.
        torch: the command uses PyTorch.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    with standard_streams() as (out, err):
        SIGNALS.begin()
        try:
            code = _exit_code(main, arguments, several, torch)
        except Interrupted as late:  # it came while an error was being told
            code = late.exit_code
        SIGNALS.end()
        out.flush()
        if out.failure and code == 0:
            err.write(f"error: stdout cannot be written to ({out.failure}): the work is done, what it says is lost\n")
            code = MonetError.exit_code
    return code


def _exit_code(main: Callable[[Sequence[str]], int], arguments: Sequence[str], several: bool, torch: bool) -> int:  # noqa: C901
    debug = "--debug" in arguments
    set_up_logging(debug)
    try:
        check_processes()
        if torch:
            require_room_for_torch()
        if "MPLBACKEND" in os.environ:  # nothing here opens a window, and matplotlib refuses names it does not know
            os.environ["MPLBACKEND"] = "agg"
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime would tell its makers how it is used
        if is_one_of_several() and not several:
            wrong = "torchrun is for submit and train: start this command without it"
            raise InputError(wrong) if is_first() else FailedElsewhere(wrong, InputError.exit_code)
        try:
            return main(arguments)
        finally:
            while AT_END:
                AT_END.pop()()
    except SystemExit as end:  # --help
        return int(end.code or 0)
    except (MonetError, Interrupted) as ended:
        error = _first(ended)
        if debug:
            traceback.print_exc()
        if is_first() or not isinstance(error, (FailedElsewhere, Interrupted)):
            prefix = f"{error.signal_name}: " if isinstance(error, Interrupted) else "error: "
            print(f"{speaker()}{prefix}{shortened(str(error), _LONGEST_LINE)}", file=sys.stderr)
        if isinstance(error, FailedElsewhere):
            time.sleep(_FIRST_SPEAKS)
        return error.exit_code
    except Exception as error:  # noqa: BLE001
        if debug:
            traceback.print_exc()
        message, code = _told(error)
        print(f"{speaker()}error: {shortened(message, _LONGEST_LINE)}", file=sys.stderr)
        return code


def _first(ended: MonetError | Interrupted) -> MonetError | Interrupted:
    """Returns what came first: a signal may come while an error is on its way out, as where torchrun ends the
    processes that have lost another one."""
    met = None if ended.__suppress_context__ else ended.__context__
    return met if isinstance(ended, Interrupted) and isinstance(met, MonetError) else ended


def _told(error: Exception) -> tuple[str, int]:
    """Returns message and exit code for an error that the system or a library raised."""
    first = first_line(error, type(error).__name__)
    if is_about_memory(error):
        return f"not enough memory ({first}): end other programs, or ask for less", MonetError.exit_code
    if isinstance(error, OSError):
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        mistaken = where and error.errno not in _OF_THE_MACHINE
        advice = ": let this process open more (ulimit -n)" if error.errno in _TOO_MANY_FILES else ""
        return f"{where}{error.strerror or error}{advice}", (InputError if mistaken else MonetError).exit_code
    if isinstance(error, ImportError):
        return f"{first}: pip install -r requirements.txt brings what is needed", MonetError.exit_code
    if library := _being_imported(error):
        return f"{library} does not start, in this environment: {first}", MonetError.exit_code
    return f"{type(error).__name__}: {first} (unexpected: --debug shows where)", MonetError.exit_code


def _being_imported(error: Exception) -> str | None:
    """Returns the library that was being imported when an error came, such as one that a variable tells something
    odd."""
    library = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if frame.f_code.co_name == "<module>" and package not in ("", "__main__", "monet", "pipelines"):
            library = package
    return library
