"""A tracker that works in a process of its own, so that nothing it does can slow or end the run.

A tracker's library is much code of others: it starts threads, takes over signals, waits for servers. In the run's own
process all of that would share the interpreter with the training step.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from monet.tracking.tracker import Ending, Message, OpenTracker, RunInfo, Shutdown

_WORKER = Path(__file__).with_name("worker")
"""What its process runs, which finds `monet` by this path."""
_MOST_WAITING = 10_000
"""Messages kept for a tracker that does not take them; at one a second nearly three hours."""


class TrackerProcess:
    """A tracker in a process of its own. No method waits, but for `wait`, and none raises.

    Args:
        open_tracker: starts it, over there.
        info: what it knows from the start.
    """

    def __init__(self, open_tracker: OpenTracker, info: RunInfo) -> None:
        self._info = info
        self._waiting: queue.Queue[Message | tuple[OpenTracker, RunInfo]] = queue.Queue(_MOST_WAITING)
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lost = 0
        self._threads: list[threading.Thread] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting.put((open_tracker, info))
        try:
            self._process = self._started()
            for work, pipe in ((self._send_all, self._process.stdin), (self._hear_all, self._process.stdout)):
                self._threads.append(threading.Thread(target=work, args=[pipe], daemon=True))
                self._threads[-1].start()
        except Exception as error:  # no room, no right, no process or thread more  # noqa: BLE001
            if self._process:
                self._process.kill()
            self._process = None
            self._said.put(f"cannot be started: {error}; the run continues without it")

    def send(self, message: Message) -> None:
        """Leaves a message to be taken whenever the tracker can."""
        if self._process is None or self._process.poll() is not None:
            return
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self._lost += 1

    def said(self) -> list[str]:
        """Returns the tracker's messages since the last call, each line with its name."""
        lines = []
        with contextlib.suppress(queue.Empty):
            while True:
                lines.append(f"{self._info.name}: {self._said.get_nowait()}")
        return lines

    def finish(self, ending: Ending) -> None:
        """Says that nothing follows.

        Args:
            ending: how the run's process ends.
        """
        self.send(Shutdown(ending))

    def wait(self, patience: float) -> bool:
        """Waits for the tracker to end. After that it continues by itself for a time, while the run's process may end.

        Args:
            patience: seconds to wait at most.

        Returns:
            Whether it ended in that time.
        """
        if self._process is None:
            return True
        try:
            code = self._process.wait(max(0.0, patience))
        except subprocess.TimeoutExpired:
            self._said.put(
                f"has not taken everything yet and continues by itself for some minutes (process {self._process.pid}); "
                f"see {self._info.log}"
            )
            return False
        self._threads[-1].join(1.0)  # the last words
        if code:
            self._said.put(f"ended early; the run is whole without it; see {self._info.log}")
        elif self._lost:
            self._said.put(f"was too slow for {self._lost:,} messages")
        return True

    def _started(self) -> subprocess.Popen[bytes]:
        self._info.folder.mkdir(parents=True, exist_ok=True)
        with open(self._info.log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, str(_WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C is meant for the run, which ends the tracker in its turn
            )

    def _send_all(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError), pipe:
            while True:
                message = self._waiting.get()
                pickle.dump(message, pipe)
                pipe.flush()
                if isinstance(message, Shutdown):
                    return

    def _hear_all(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in pipe:
                self._said.put(str(json.loads(line)))
