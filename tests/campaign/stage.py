"""A case, and the place where it is played."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tests.campaign import rules
from tests.campaign.launch import Launch, Outcome, Running, usual_environment
from tests.campaign.material import Material

LIMIT = 60.0
"""Seconds after which a command hangs."""


@dataclass(frozen=True)
class Case:
    """One thing that can go wrong."""

    name: str
    """`class/what is done`."""
    play: Callable[[Stage], None]
    """Does it, and has the stage judge what comes of it."""
    quick: bool = False
    """Part of the ordinary suite."""
    root: bool = False
    """Needs root, for a file system of its own."""
    libraries: tuple[str, ...] = ()
    """Libraries that it needs beyond those of the main job."""

    @property
    def group(self) -> str:
        """Its class."""
        return self.name.split("/")[0]


class Stage:
    """A folder with what a case needs, the commands that it runs there, and what was wrong with them.

    Args:
        folder: new; everything happens in it.
        material: what is copied from.
    """

    def __init__(self, folder: Path, material: Material) -> None:
        self.material = material
        self.place = folder / "place"
        self.flags: list[str] = []
        self.outcomes: list[Outcome] = []
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._before: dict[str, str] = {}
        for name in ("place", "home", "tmp"):
            (folder / name).mkdir(parents=True)

    @property
    def home(self) -> Path:
        """The user's home folder."""
        return self._folder / "home"

    def needs(self, *names: str) -> Path:
        """Copies of the material of these names; returns the last of them."""
        for name in names:
            self.material.copy(name, self.place)
        return self.place / names[-1]

    def path(self, name: str) -> Path:
        """A path in the place."""
        return self.place / name

    def flag(self, fault: str) -> None:
        """Notes that something is wrong."""
        self.flags.append(fault)

    def expect(self, condition: object, fault: str) -> None:
        """Notes that something is wrong where a condition does not hold."""
        if not condition:
            self.flag(fault)

    def start(
        self, command: str, *words: object, environment: Mapping[str, str | None] | None = None, **given: Any
    ) -> Running:
        """Starts a command.

        Args:
            command: `train` and so on.
            words: its command line.
            environment: variables that differ from the usual ones; None for one that is not there.
            given: further fields of `Launch`.
        """
        told = dict(environment or {})
        whole = {name: value for name, value in {**self._usual(), **told}.items() if value is not None}
        launch = Launch(
            command=command,
            words=tuple(map(str, words)),
            cwd=self.place,
            environment=whole,
            told={name: "" if value is None else value for name, value in told.items()},
            **given,
        )
        self._before = rules.snapshot(self.place)
        return Running(launch, self._folder / f"run-{len(self.outcomes)}-{len(list(self._folder.iterdir()))}")

    def judge(
        self,
        running: Running,
        codes: Collection[int],
        *,
        says: Sequence[str] = (),
        may_change: Sequence[str] = (),
        limit: float = LIMIT,
        memory: int = rules.MOST_MEMORY,
        tidy: bool = True,
    ) -> Outcome:
        """Waits for a command to end, and notes what is wrong.

        Args:
            running: the command.
            codes: exit codes that are right.
            says: words that must be in its error line.
            may_change: patterns of existing paths that it may change or remove.
            limit: seconds that it may take.
            memory: bytes that it may hold.
            tidy: it must leave no unfinished files, which only a killed one may.
        """
        before = self._before
        outcome = running.finish(limit)
        self.outcomes.append(outcome)
        self.flags += rules.faults(outcome, codes, says, memory)
        after = rules.snapshot(self.place)
        self.flags += rules.changes(before, after, may_change)
        if tidy and outcome.code != -9:
            self.flags += rules.litter(before, after)
            self.flags += [f"{path.name} was left in TMPDIR" for path in self._temporary()]
        return outcome

    def run(self, command: str, *words: object, codes: Collection[int], **given: Any) -> Outcome:
        """Runs a command and judges it; see `start` and `judge`."""
        judged = {name: given.pop(name) for name in list(given) if name in _JUDGED}
        return self.judge(self.start(command, *words, **given), codes, **judged)

    def compute(self, work: Callable[[], dict[str, int]], limit: float = LIMIT) -> None:
        """Does work of the library itself in a process of its own: this one computes nothing, as it still forks.

        Args:
            work: returns how often what came; its keys are counted, and it raises where something is wrong.
            limit: seconds that it may take.
        """
        answer = self._folder / f"answer-{len(list(self._folder.iterdir()))}"
        child = os.fork()
        if child == 0:
            _answer(work, answer, self.place)
        until = time.monotonic() + limit
        while True:
            pid, ended, usage = os.wait4(child, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                self.flag(f"still at work after {limit:.0f} s")
                return
            time.sleep(0.01)
        code = os.waitstatus_to_exitcode(ended)
        if code:
            self.flag(f"ended by {signal.Signals(-code).name}" if code < 0 else answer.read_text(errors="replace"))
        else:
            self.counts.update(json.loads(answer.read_text()))
        self.expect(usage.ru_maxrss * 1024 < rules.MOST_MEMORY, f"held {usage.ru_maxrss / 2**20:.1f} GB")

    def archive(self, name: str, count: int) -> bytes:
        """The bytes of an archive that must be valid; empty where there is none."""
        path = self.path(name)
        self.flags += rules.archive_faults(path, count)
        return path.read_bytes() if path.is_file() else b""

    def _usual(self) -> dict[str, str]:
        return usual_environment(self.home, self._folder / "tmp", self.material.folder / "matplotlib")

    def _temporary(self) -> Iterator[Path]:
        folder = self._folder / "tmp"
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return (path for path in found if not path.name.startswith(_OF_TORCH))

    def clear(self) -> None:
        """Removes the folder with everything in it."""
        for top, folders, _ in os.walk(self._folder):
            for name in folders:
                if not (path := Path(top) / name).is_symlink():
                    path.chmod(0o755)
        shutil.rmtree(self._folder, ignore_errors=True)


def _answer(work: Callable[[], dict[str, int]], answer: Path, place: Path) -> NoReturn:
    """Works in a child, and writes what it counted, or what was wrong."""
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        os.chdir(place)
        answer.write_text(json.dumps(work()))
        code = 0
    except BaseException:
        answer.write_text(traceback.format_exc(limit=-4))
    finally:
        os._exit(code)


_OF_TORCH = "torchinductor_"
"""How the folders begin that PyTorch makes among the temporary files, and keeps."""
_JUDGED = {"says", "may_change", "limit", "memory", "tidy"}
MEGABYTE, GIGABYTE = 2**20, 2**30
ADDRESS_SPACE, FILE_SIZE, OPEN_FILES = resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE
