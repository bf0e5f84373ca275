"""Trackers that do everything wrong."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import Any

from monet.tracking.tracker import NoTracker, Reporter, RunInfo, Tracker


def raises_at_once(info: RunInfo, reporter: Reporter) -> Tracker:
    raise RuntimeError("no such server")


def is_missing(info: RunInfo, reporter: Reporter) -> Tracker:
    raise NoTracker("is not installed: pip install hostile")


def exits_at_once(info: RunInfo, reporter: Reporter) -> Tracker:
    sys.exit(3)


def is_killed(info: RunInfo, reporter: Reporter) -> Tracker:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def hangs_for_a_minute(info: RunInfo, reporter: Reporter) -> Tracker:
    time.sleep(60)
    raise AssertionError


def holds_the_interpreter(info: RunInfo, reporter: Reporter) -> Tracker:
    """Hangs in C code that lets no other thread run, so that nothing reads its messages either."""
    ctypes.PyDLL(None).sleep(60)
    raise AssertionError


def raises_every_time(info: RunInfo, reporter: Reporter) -> Tracker:
    return _Broken()


def has_no_room(info: RunInfo, reporter: Reporter) -> Tracker:
    reporter.remember({"x": "y"})
    raise OSError(28, "No space left on device")


class _Broken:
    def _raise(self, *_: Any) -> None:
        raise ConnectionError("the server is gone")

    scalars = picture = model = artifact = summary = close = _raise


def closes_slowly(info: RunInfo, reporter: Reporter) -> Tracker:
    """Remembers what it did only at the end, and takes its time for that."""
    return _Slow(info, reporter)


def writes_down(info: RunInfo, reporter: Reporter) -> Tracker:
    """A good one, for comparison."""
    reporter.tell(f"told of {info.run}, which remembers {info.memory}")
    reporter.remember({"times": info.memory.get("times", 0) + 1})
    return _Scribe(info)


class _Slow(_Broken):
    def __init__(self, info: RunInfo, reporter: Reporter) -> None:
        self._before, self._reporter = info.memory, reporter

    def _told(self, *_: Any) -> None:
        pass

    scalars = picture = model = artifact = summary = _told

    def close(self, ending: str) -> None:
        time.sleep(2)
        self._reporter.remember({"endings": [*self._before.get("endings", []), ending]})


class _Scribe:
    def __init__(self, info: RunInfo) -> None:
        self._file = info.folder / "told.txt"

    def _write(self, *words: object) -> None:
        with open(self._file, "a", encoding="utf-8") as file:
            print(*words, file=file)

    def scalars(self, pairs: int, values: Any) -> None:
        self._write("scalars", pairs, *sorted(values))

    def picture(self, pairs: int, name: str, path: Any) -> None:
        self._write("picture", pairs, name, path.name)

    def model(self, pairs: int, path: Any) -> None:
        self._write("model", pairs, path.name)

    def artifact(self, path: Any) -> None:
        self._write("artifact", path.name)

    def summary(self, values: Any) -> None:
        self._write("summary", *sorted(values))

    def close(self, ending: str) -> None:
        self._write("close", ending)
