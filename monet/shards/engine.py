"""What carries out the work on shards: processes of this machine, or Ray on as many machines as there are.

An engine hands out tasks and gives back their results, each once, in whatever order they come. It tries a task again
whose process ended without a word, and gives it up where that happens every time.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any, Generic, Protocol, TypeVar

import torch

from monet.clock import Clock
from monet.device import choose_device
from monet.errors import InputError
from monet.files import remove_unfinished
from monet.machine import available_processors

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
TaskT_contra = TypeVar("TaskT_contra", contravariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)

TRIES = 5
"""Times that a task is begun whose process ends while it is at work."""


class Work(Protocol[TaskT_contra, ResultT_co]):
    """What is to be done with tasks; it is sent to other processes, and can be pickled."""

    def worker(
        self, device: str, threads: int, clock: Clock, stopping: Callable[[], bool], /
    ) -> Callable[[TaskT_contra], ResultT_co]:
        """Returns what does it in one process."""


@dataclass(frozen=True)
class Lost:
    """What comes of a task whose process ended every time."""

    reason: str
    """What is known of it."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What is used of the machines."""

    device: str = "auto"
    """Of the networks."""
    workers: int | None = None
    """Processes; by default one for each GPU, and without one for each processor."""
    gpus_per_worker: float | None = None
    """Of Ray's, may be a part of one; by default one where `device` is CUDA, or `auto` and the cluster has some."""
    cpus_per_worker: int = 1
    """Processors of each process: threads that decode and encode, and on a CPU compute."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(f"--workers is {self.workers}: give at least 1")
        if self.cpus_per_worker < 1:
            raise InputError(f"--cpus-per-worker is {self.cpus_per_worker}: give at least 1")
        if self.gpus_per_worker is not None and not 0 <= self.gpus_per_worker <= 64:
            raise InputError(f"--gpus-per-worker is {self.gpus_per_worker}: give 0 to 64, such as 0.5")
        if self.gpus_per_worker is not None and self.gpus_per_worker > 1 and self.gpus_per_worker % 1:
            raise InputError(f"--gpus-per-worker is {self.gpus_per_worker}: give a part of one, or a whole number")


class Engine(Protocol):
    """Hands out tasks."""

    def run(self, work: Work[TaskT, ResultT], tasks: Sequence[TaskT]) -> Iterator[tuple[TaskT, ResultT | Lost]]:
        """Returns the tasks with their results, each once, as they come.

        Raises:
            MonetError: a task raised one; the others that are at work are stopped.
        """


class LocalEngine:
    """Processes of this machine; each keeps its own network, and one that ends is replaced.

    Args:
        resources: of this machine.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def run(self, work: Work[TaskT, ResultT], tasks: Sequence[TaskT]) -> Iterator[tuple[TaskT, ResultT | Lost]]:
        """As `Engine.run`."""
        devices = self._devices()[: max(1, len(tasks))]
        context = multiprocessing.get_context("spawn")
        with _deaf():  # it begins the process that tidies up after all others
            stop = context.Event()
        seats = [_Seat(work, device, self._resources.cpus_per_worker, stop) for device in devices]
        waiting = deque((task, 1) for task in tasks)
        at_work: dict[Future[ResultT], tuple[_Seat[TaskT, ResultT], TaskT, int]] = {}
        try:
            free = list(seats)
            while waiting or at_work:
                while waiting and free:
                    seat = free.pop()
                    task, attempt = waiting.popleft()
                    at_work[seat.begin(task)] = (seat, task, attempt)
                done, _ = wait(at_work, return_when=FIRST_COMPLETED)
                for future in done:
                    seat, task, attempt = at_work.pop(future)
                    free.append(seat)
                    try:
                        result: ResultT | Lost = future.result()
                    except BrokenProcessPool:
                        seat.renew()
                        if attempt < TRIES:
                            waiting.append((task, attempt + 1))
                            continue
                        result = Lost(f"its process ended {TRIES} times at this shard")
                    yield task, result
        finally:
            stop.set()
            for seat in seats:
                seat.end()

    def _devices(self) -> list[str]:
        """Returns the device of each process."""
        chosen = choose_device(self._resources.device)
        workers = self._resources.workers
        if str(chosen) == "cuda":
            found = torch.cuda.device_count()
            return [f"cuda:{index % found}" for index in range(workers or found)]
        if chosen.type == "cpu":
            return ["cpu"] * (workers or max(1, available_processors() // self._resources.cpus_per_worker))
        return [str(chosen)] * (workers or 1)


class _Seat(Generic[TaskT, ResultT]):
    """A place for one process; there is a new one where it ends without a word."""

    def __init__(self, work: Work[TaskT, ResultT], device: str, threads: int, stop: Any) -> None:
        self._given = (work, device, threads, stop)
        self._pool = self._new()

    def begin(self, task: TaskT) -> Future[ResultT]:
        with _deaf():  # a process that begins hears no signal before it knows what to do
            try:
                return self._pool.submit(_do, task)
            except BrokenProcessPool:  # it ended while it had nothing to do
                self.renew()
                return self._pool.submit(_do, task)

    def renew(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._new()

    def end(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _new(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, mp_context=context, initializer=_start, initargs=self._given)


SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Those that end a command."""


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Keeps signals waiting while open, here and in the processes and threads that begin. What comes meanwhile, as
    another thread may hear it, is told at the end."""
    came: list[int] = []
    heard = {}
    if threading.current_thread() is threading.main_thread():
        heard = {number: signal.getsignal(number) for number in SIGNALS}
        heard = {number: handler for number, handler in heard.items() if handler not in (None, signal.SIG_IGN)}
        for number in heard:
            signal.signal(number, lambda number, _: came.append(number))
    masks = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS) if masks else None
    try:
        resource_tracker.ensure_running()  # which would hear them again, where it begins later
        if masks:
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        yield
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in heard.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)


_WORKER: list[Callable[[Any], Any]] = []
"""Of a process that works for another one: what does the work, made at its first task."""
_MAKE: list[Callable[[], Callable[[Any], Any]]] = []


def _start(work: Work[Any, Any], device: str, threads: int, stop: Any) -> None:
    """Begins a process that works for another one: it ends with it, and leaves signals to it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    parent = multiprocessing.parent_process()
    assert parent
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()

    def make() -> Callable[[Any], Any]:
        torch.set_num_threads(threads)
        return work.worker(device, threads, time.monotonic, stop.is_set)

    _MAKE.append(make)


def _end_with(parent: Any) -> None:
    parent.join()
    remove_unfinished()
    os._exit(1)


def _do(task: Any) -> Any:
    if not _WORKER:
        _WORKER.append(_MAKE[0]())
    return _WORKER[0](task)
