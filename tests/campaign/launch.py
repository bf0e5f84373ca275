"""A command as a process of its own: what it is given, and what became of it."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.descriptors import Stream, StreamKind
from tests.campaign.inside import become, run_here

ROOT = Path(__file__).parents[2]
GONE = 3.0
"""Seconds that processes which a command started may outlive it."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a process is given."""

    command: str
    """`train` for `python -m pipelines.train`."""
    words: tuple[str, ...]
    """The command line behind it."""
    cwd: Path
    """Where it runs."""
    environment: Mapping[str, str]
    """All of its environment."""
    streams: tuple[StreamKind, StreamKind, StreamKind] = ("null", "file", "file")
    """What its stdin, stdout and stderr are."""
    limits: Mapping[int, int] = field(default_factory=dict)
    """`resource.RLIMIT_…` and the limit."""
    fresh: bool = False
    """A new interpreter; otherwise a fork of this one, which has imported everything."""
    whole_exit: bool = False
    """A fork ends as slowly as an interpreter does, too."""
    unprivileged: bool = False
    """Without the rights of root, to whom permissions mean nothing."""
    small_disk: tuple[str, str] | None = None
    """A folder that becomes a file system of its own, and its size, such as `64k`. Needs root."""
    leap: tuple[float, float] | None = None
    """Seconds after which the steady clock leaps, and how far; not for a fresh interpreter."""
    before: tuple[str, ...] = ()
    """Words of a program that starts the command, such as `nohup`; for a fresh interpreter only."""
    told: Mapping[str, str] = field(default_factory=dict)
    """The part of the environment that a person who repeats this needs to know."""

    def __str__(self) -> str:
        told = "".join(f"{name}={shlex.quote(value)} " for name, value in self.told.items())
        streams = "".join(
            f" {number}:{kind}"
            for number, (kind, usual) in enumerate(zip(self.streams, ("null", "file", "file"), strict=True))
            if kind != usual
        )
        names = {value: name for name, value in vars(resource).items() if name.startswith("RLIMIT_")}
        limits = "".join(f" {names[number]}={limit}" for number, limit in self.limits.items())
        words = " ".join(shlex.quote(_short(word)) for word in self.words)
        more = f"{streams}{limits}{' unprivileged' if self.unprivileged else ''}"
        more += f" small disk {self.small_disk}" if self.small_disk else ""
        more += f" the clock leaps {self.leap}" if self.leap else ""
        return f"{told}python -m pipelines.{self.command} {words}" + (f"  [{more.strip()}]" if more else "")


def usual_environment(home: Path, temporary: Path, matplotlib: Path) -> dict[str, str]:
    """What a command finds where nothing is said: nobody's credentials, no network, folders of its own.

    Args:
        home: the user's folder.
        temporary: for temporary files.
        matplotlib: for the cache of fonts, which takes a while to make.
    """
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "MPLCONFIGDIR": str(matplotlib),
        "TORCH_HOME": str(home / "torch"),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    }


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a process."""

    launch: Launch
    code: int
    """The exit code; negative for a signal."""
    out: str
    """What it wrote to stdout, where someone could read it."""
    err: str
    """The same for stderr."""
    seconds: float
    """How long it took."""
    peak: int
    """Bytes that it held at most."""
    hung: bool
    """It was still running at its limit, and was killed."""
    left_behind: bool
    """Processes that it had started outlived it."""


class Running:
    """A process that has been started."""

    def __init__(self, launch: Launch, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.launch = launch
        self._streams = [
            Stream(kind, folder / name) for kind, name in zip(launch.streams, ("in", "out", "err"), strict=True)
        ]
        self.started = time.monotonic()
        self._status: tuple[int, float, int] | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._in_the_child()
        for stream in self._streams:
            stream.started()

    def _in_the_child(self) -> None:
        try:
            become(self.launch, [stream.child_end for stream in self._streams])
            if self.launch.fresh:
                words = [
                    *self.launch.before,
                    sys.executable,
                    "-m",
                    f"pipelines.{self.launch.command}",
                    *self.launch.words,
                ]
                os.execvpe(words[0], words, dict(self.launch.environment))
            module = f"pipelines.{self.launch.command}"
            run_here(module, self.launch.words, self.launch.whole_exit, self.launch.leap)
        finally:
            os._exit(99)

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return self._streams[2].text()

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return self._streams[1].text()

    @property
    def elapsed(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started

    def ended(self) -> bool:
        """Whether it has ended; moves what it writes along."""
        if self._status is None:
            for stream in self._streams:
                stream.move()
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._status = (os.waitstatus_to_exitcode(status), self.elapsed, usage.ru_maxrss * 1024)
        return self._status is not None

    def wait_until(self, condition: Callable[[], object], seconds: float = 60.0) -> bool:
        """Waits until a condition holds; False where the process ended, or the time did, before that."""
        until = time.monotonic() + seconds
        while not condition():
            if self.ended() or time.monotonic() > until:
                return bool(condition())
            time.sleep(0.005)
        return True

    def send(self, number: int) -> bool:
        """Sends a signal, if the process still runs."""
        if self.ended():
            return False
        os.kill(self.pid, number)
        return True

    def finish(self, seconds: float = 60.0) -> Outcome:
        """Waits for the end, and kills what runs longer than so many seconds."""
        hung = not self._ends_within(seconds)
        if hung:
            os.killpg(self.pid, signal.SIGKILL)
            self._ends_within(10.0)
        left_behind = self._others_outlive_it()
        for stream in self._streams:
            stream.move()
            stream.close()
        assert self._status
        code, elapsed, peak = self._status
        return Outcome(
            launch=self.launch,
            code=code,
            out=self._streams[1].text(),
            err=self._streams[2].text(),
            seconds=elapsed,
            peak=peak,
            hung=hung,
            left_behind=left_behind and not hung,
        )

    def _ends_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True

    def _others_outlive_it(self) -> bool:
        """Whether processes of its session are still there after a while; they are ended."""
        until = time.monotonic() + GONE
        try:
            while True:
                os.killpg(self.pid, 0)
                if time.monotonic() > until:
                    os.killpg(self.pid, signal.SIGKILL)
                    return True
                time.sleep(0.02)
        except ProcessLookupError:
            return False


def _short(word: str) -> str:
    shown = word.encode(errors="backslashreplace").decode()
    return shown if len(shown) <= 200 else f"{shown[:60]}…({len(shown)} characters)"
