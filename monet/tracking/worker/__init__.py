"""The process in which a tracker works. It ends by itself when the run's process does, however that ends."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import IO, Any

from monet.files import write_json
from monet.tracking.tracker import Message, NoTracker, OpenTracker, Reporter, RunInfo, Shutdown, deliver

LINGER = 600.0
"""Seconds that are left for sending when the run is over."""


def work() -> None:
    """Opens the tracker that stdin names, gives it the messages that follow there, and says on stdout, a line of JSON
    each, what it has to say."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # meant for the run, whose end is heard through stdin
    if sys.platform != "win32":
        os.nice(10)  # the training step comes first
    source, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w", buffering=1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what libraries print goes to the log
    try:
        open_tracker, info = pickle.load(source)
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        _say(answers, "cannot be started; the run continues without it")
        _leave(1)
    inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    threading.Thread(target=_read_all, args=(source, inbox), daemon=True).start()
    _leave(_track(open_tracker, info, inbox, answers))


def _track(open_tracker: OpenTracker, info: RunInfo, inbox: queue.SimpleQueue[Message | None], answers: Any) -> int:
    """Gives a tracker all messages. Returns the exit code."""
    alone = _only_one(info.log)
    reporter = Reporter(lambda line: _say(answers, line), lambda values: write_json(info.kept, values))
    try:
        tracker = open_tracker(dataclasses.replace(info, memory=_memory(info.kept)), reporter)
    except NoTracker as error:
        _say(answers, str(error))
        return 0
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        _say(answers, f"cannot be used ({_described(error)}); the run continues without it")
        return 0
    told = closed = False
    while not closed:
        message = inbox.get() or Shutdown("stopped")  # the run's process was killed
        closed = isinstance(message, Shutdown)
        if closed:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # from here on the system handles it
        try:
            deliver(message, tracker)
        except BaseException as error:  # noqa: BLE001
            traceback.print_exc()
            if not told:
                _say(answers, f"{_described(error)}; any more of its trouble is only written to {info.log}")
            told = True
    alone.close()
    return 0


def _only_one(path: Path) -> IO[bytes]:
    """Waits until the tracker of an earlier process of the run has ended; while the file is open, a later one waits."""
    file = open(path, "ab")  # noqa: SIM115
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _read_all(source: IO[bytes], inbox: queue.SimpleQueue[Message | None]) -> None:
    """Takes messages as they come, so that the run never waits, and sees to it that the process ends after the last."""
    message: Message | None = None
    with contextlib.suppress(Exception):
        while not isinstance(message, Shutdown):
            message = pickle.load(source)
            inbox.put(message)
    inbox.put(None)
    time.sleep(LINGER)
    os._exit(1)


def _say(answers: Any, line: str) -> None:
    with contextlib.suppress(OSError):
        answers.write(json.dumps(" ".join(line.split())) + "\n")
        answers.flush()


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip(": ")


def _leave(code: int) -> None:
    """Ends without waiting for threads that a library left behind."""
    sys.stderr.flush()
    os._exit(code)


def _memory(path: Path) -> dict[str, Any]:
    """State that the tracker stored in an earlier process of the run."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
