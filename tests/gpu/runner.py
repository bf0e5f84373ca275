"""Runs each part in a process of its own, which is killed at its limit with all that it has started."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Any

from tests.gpu.part import START_METHOD, Found, Part, Place, Refuted, Skipped
from tests.gpu.results import Result, Results, Status

LOG = "log.txt"
"""What the parts print, in the output folder."""
_GRACE = 5.0
"""Seconds that a process may take to end once it has said what it found."""

Clock = Callable[[], float]


def run_all(
    parts: Sequence[Part], place: Place, results: Results, deadline: float, again: bool, tell: Callable[[Result], None]
) -> None:
    """Runs parts one after the other.

    Args:
        parts: which.
        place: what they are given; each gets the seconds that it may take.
        results: where they are kept; those that are done are left out.
        deadline: on the monotonic clock, when all must be over.
        again: also those that are done.
        tell: called with each result.
    """
    for part in parts:
        if not again and (known := results.known.get(part.name)) and known.done:
            tell(dataclasses.replace(known, line=f"(known) {known.line}"))
            continue
        result = _asked(part, place, deadline - time.monotonic())
        results.add(result)
        tell(result)


def _asked(part: Part, place: Place, left: float) -> Result:
    if reason := part.reason_to_skip(place):
        return Result(part=part.name, status="skipped", line=f"skipped: {reason}")
    if left < (min(part.least, 5.0) if place.tiny else part.least):
        return Result(part=part.name, status="no time", line=f"not started: {max(0.0, left):.0f} s are left")
    limit = min(part.limit, left)
    begun = time.monotonic()
    status, line, figures = answer(part.work, dataclasses.replace(place, seconds=limit), part.name)
    if status == "stopped":
        status, line = (
            ("stopped", f"stopped at its limit of {limit:.0f} s")
            if limit == part.limit
            else ("no time", f"stopped after {limit:.0f} s: all the time is up")
        )
    return Result(part=part.name, status=status, line=line, seconds=time.monotonic() - begun, figures=figures)


def answer(work: Callable[[Place], Found], place: Place, name: str) -> tuple[Status, str, dict[str, Any]]:
    """Does work in a process of its own, for no longer than `place.seconds`.

    Returns:
        How it went, what it says, and its figures.
    """
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_process, args=(work, place, name, sender), name=name)  # type: ignore[attr-defined]
    process.start()
    sender.close()
    try:
        if not receiver.poll(place.seconds):
            return "stopped", "", {}
        status, line, figures = receiver.recv()
        process.join(_GRACE)
        return status, line, figures
    except EOFError:
        process.join(_GRACE)
        return "failed", f"its process ended with {_ended(process.exitcode)}; {place.out / LOG} holds what it said", {}
    finally:
        _kill(process)
        receiver.close()


def _context() -> BaseContext:
    context = multiprocessing.get_context(START_METHOD)
    if START_METHOD == "forkserver":
        context.set_forkserver_preload(["tests.gpu.parts"])
    return context


def _process(work: Callable[[Place], Found], place: Place, name: str, sender: Connection) -> None:
    """Leads a group of processes, so that all of them can be ended together, and ends with the program."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    threading.Thread(target=_end_with_the_program, daemon=True).start()
    with (place.out / LOG).open("a", encoding="utf-8") as log:
        print(f"== {name}", file=log, flush=True)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sender.send(_said(work, place))
    sys.stdout.flush()


def _said(work: Callable[[Place], Found], place: Place) -> tuple[Status, str, dict[str, Any]]:
    try:
        found = work(place)
    except Refuted as error:
        return "failed", str(error), {}
    except Skipped as error:
        return "skipped", f"skipped: {error}", {}
    except Exception as error:
        traceback.print_exc()
        first = str(error).strip().splitlines()[0] if str(error).strip() else "no reason"
        return "failed", f"{type(error).__name__}: {first[:200]}", {}
    return "passed", found.line, found.figures


def _end_with_the_program() -> None:
    program = multiprocessing.parent_process()
    if program is not None:
        wait([program.sentinel])
        _kill_group(os.getpgrp() if hasattr(os, "getpgrp") else 0)


def _kill(process: Any) -> None:
    """Ends a process, and whatever it has started and left."""
    _kill_group(process.pid)
    process.kill()
    process.join()


def _kill_group(number: int) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(number, signal.SIGKILL)


def _ended(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
