from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from monet.locks import Held, NoLocks, open_locked

HOLD = "import sys, time; from pathlib import Path; from monet.locks import open_locked\n"
HOLD += "file = open_locked(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


def test_a_lock_is_held_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with open_locked(path), pytest.raises(Held):
        open_locked(path)
    open_locked(path).close()


def test_a_process_that_is_killed_gives_its_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(Held):
        open_locked(path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    open_locked(path).close()


def test_a_process_that_was_started_by_the_holder_does_not_hold_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with open_locked(path):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    open_locked(path).close()
    assert child.poll() is None
    child.communicate(b"\n")


def test_who_waits_gets_the_lock_when_it_is_given_back_even_where_the_file_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = open_locked(path)
    got: list[bool] = []

    def wait() -> None:
        with open_locked(path, wait=True):
            got.append(path.exists())

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(0.1)
    assert not got
    path.unlink()
    held.close()
    waiting.join(10)
    assert got == [True]


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("pipe", "link"):
        with pytest.raises(OSError):
            open_locked(tmp_path / name)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(NoLocks, match="not supported"):
        open_locked(tmp_path / "lock")
