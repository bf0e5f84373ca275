"""Engines: every task once, whatever ends meanwhile."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from monet.clock import Clock
from monet.errors import InputError, MonetError
from monet.shards import on_ray
from monet.shards.engine import TRIES, Engine, LocalEngine, Lost, Resources
from monet.shards.engines import engine_called


@dataclass(frozen=True)
class Trouble:
    """Work whose processes end at some tasks.

    Args:
        folder: where each begun task leaves a mark.
        deadly: task => how often the process ends at it.
    """

    folder: Path
    deadly: tuple[tuple[int, int], ...] = ()
    fails: int = -1
    seconds: float = 0.0

    def worker(self, device: str, threads: int, _: Clock, stopping: Callable[[], bool], /) -> Callable[[int], int]:
        def do(task: int) -> int:
            begun = len(list(self.folder.glob(f"{task}-*")))
            (self.folder / f"{task}-{begun}").touch()
            if begun < dict(self.deadly).get(task, 0):
                os.kill(os.getpid(), signal.SIGKILL)
            if task == self.fails:
                raise MonetError(f"task {task} cannot be done")
            end = time.monotonic() + self.seconds
            while time.monotonic() < end and not stopping():
                time.sleep(0.01)
            return task * task

        return do


def outcome(engine: Engine, work: Trouble, tasks: int) -> dict[int, int | Lost]:
    found: dict[int, int | Lost] = {}
    for task, result in engine.run(work, list(range(tasks))):
        assert task not in found
        found[task] = result
    return found


def test_every_task_is_done_once_though_processes_are_killed(tmp_path: Path) -> None:
    before = psutil.Process().children()
    engine = LocalEngine(Resources(device="cpu", workers=2))
    found = outcome(engine, Trouble(tmp_path, deadly=((2, 1), (3, 99))), 6)
    lost = found.pop(3)
    assert isinstance(lost, Lost)
    assert f"ended {TRIES} times" in lost.reason
    assert found == {task: task * task for task in range(6) if task != 3}
    begun = {task: len(list(tmp_path.glob(f"{task}-*"))) for task in range(6)}
    assert begun == {0: 1, 1: 1, 2: 2, 3: TRIES, 4: 1, 5: 1}
    begun_here = [child for child in psutil.Process().children() if child not in before]
    assert all("resource_tracker" in " ".join(child.cmdline()) for child in begun_here)


def test_an_error_of_a_task_ends_the_others_soon(tmp_path: Path) -> None:
    engine = LocalEngine(Resources(device="cpu", workers=2))
    begun = time.monotonic()
    with pytest.raises(MonetError, match="task 1 cannot be done"):
        outcome(engine, Trouble(tmp_path, fails=1, seconds=60), 2)
    assert time.monotonic() - begun < 50


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0},
        {"cpus_per_worker": 0},
        {"gpus_per_worker": -1.0},
        {"gpus_per_worker": 65.0},
        {"gpus_per_worker": 1.5},
    ],
)
def test_resources_are_checked(options: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Resources(**options)  # type: ignore[arg-type]


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(InputError, match="spark"):
        engine_called("spark", Resources(), None)
    with pytest.raises(InputError, match="--ray-address"):
        engine_called("local", Resources(), "auto")


def test_tries_that_nodes_took_along_are_not_counted_but_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = on_ray._Tries()
    monkeypatch.setattr(tries, "_alive", lambda: {"stays"})
    for count in range(1, TRIES + 1):
        assert tries.begin(0, f"goes {count}") == count
    assert [tries.begin(0, "stays") for _ in range(TRIES + 1)] == list(range(1, TRIES + 2))
    for count in range(1, 99):
        last = tries.begin(1, f"goes {count}")
    assert last > TRIES
    tries.end(1)
    assert tries.begin(1, "stays") == 1


class Refusing:
    """Work that no process can begin."""

    def worker(self, device: str, threads: int, _: Clock, stopping: Callable[[], bool], /) -> Callable[[int], int]:
        raise MonetError(f"device {device} does not work here")


def test_an_actor_that_cannot_begin_says_why_in_its_first_result(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(on_ray, "library", lambda _: SimpleNamespace(get=lambda given: given))
    actor = on_ray._Actor(pickle.dumps((Refusing(), [0])), None, "cuda", threads)
    (result,) = actor({"place": [0]})["result"]
    assert str(pickle.loads(result)) == "device cuda does not work here"


@pytest.fixture
def cluster() -> None:
    pytest.importorskip("ray", reason="Ray is not installed")


@pytest.mark.parametrize("times", [1, pytest.param(99, marks=pytest.mark.slow)])
def test_ray_does_every_task_once_though_its_actors_are_killed(cluster: None, tmp_path: Path, times: int) -> None:
    engine = engine_called("ray", Resources(device="cpu", workers=2), None)
    done: dict[int, int | Lost] = {}

    def work() -> None:
        done.update(outcome(engine, Trouble(tmp_path, deadly=((2, 1), (3, times))), 6))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(150)
    assert not thread.is_alive(), "it hangs"
    if times > TRIES:
        lost = done.pop(3)
        assert isinstance(lost, Lost)
    else:
        assert done.pop(3) == 9
    assert done == {task: task * task for task in range(6) if task != 3}


@pytest.mark.slow
def test_ray_tells_an_error_of_a_task_and_a_cluster_that_is_not_there(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(MonetError, match="task 1 cannot be done"):
        outcome(engine_called("ray", Resources(device="cpu", workers=1), None), Trouble(tmp_path, fails=1), 2)
    with pytest.raises(InputError, match="no Ray cluster"):
        outcome(engine_called("ray", Resources(device="cpu"), "127.0.0.1:1"), Trouble(tmp_path), 2)
    with pytest.raises(InputError, match="through a client"):
        outcome(engine_called("ray", Resources(device="cpu"), "ray://127.0.0.1:10001"), Trouble(tmp_path), 2)
    many = Resources(device="cpu", cpus_per_worker=4096)
    with pytest.raises(InputError, match="4096 processors"):
        outcome(engine_called("ray", many, None), Trouble(tmp_path), 2)
