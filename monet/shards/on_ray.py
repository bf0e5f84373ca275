"""The engine of Ray Data: actors on as many machines as a cluster has, each with a network of its own.

What goes through Ray are the shards' names and their rows. The pictures are read and written by the actors themselves,
under names that follow from the input's, so that a shard which a lost machine leaves half done, or which two machines
do, comes out once. Ray's own `write_parquet` gives its files names of their own, anew at each run.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch

from monet.errors import InputError, MonetError, first_line
from monet.shards.engine import SIGNALS, TRIES, Lost, Resources, Work
from monet.shards.libraries import library

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)

_MOST_ACTORS = 10_000
_BLOCKS = 100_000
"""Shards are tasks of their own up to so many."""
_MOST_TRIES = 5 * TRIES
"""Of a shard, however many nodes went meanwhile: it may be what ends them."""
_PATIENCE = 60.0
"""Seconds in which a cluster, and its counter of tries, have to answer."""


class RayEngine:
    """Ray Data, in a cluster that is there, or in one that is made for the call on this machine.

    Args:
        resources: of each actor; as many actors as there is room for, or `workers`. They come and go with the machines.
        address: `auto` for the cluster that this machine belongs to, or `host:6379` for the one of that head; None for
            one of its own.

    Raises:
        MonetError: Ray is not installed.
    """

    def __init__(self, resources: Resources, address: str | None) -> None:
        self._ray = library("ray")
        library("ray.data")
        self._resources = resources
        self._address = address

    def run(self, work: Work[TaskT, ResultT], tasks: Sequence[TaskT]) -> Iterator[tuple[TaskT, ResultT | Lost]]:
        """As `Engine.run`.

        Raises:
            InputError: the cluster cannot be reached.
            MonetError: a task raised one, or Ray gave up.
        """
        with self._joined():
            rows = self._rows(work, tasks)
            seen: set[int] = set()
            try:
                for row in rows:
                    place = int(row["place"])
                    if place in seen:  # Ray hands every block out once; a second time would count twice
                        continue
                    seen.add(place)
                    result = pickle.loads(row["result"])  # of our own actors
                    if isinstance(result, MonetError):
                        raise result
                    yield tasks[place], result
            except self._ray.exceptions.RayError as error:
                raise MonetError(f"Ray gave up: {first_line(error)}; what is done is kept, start it again") from error
            if len(seen) < len(tasks):
                raise MonetError(f"Ray lost {len(tasks) - len(seen)} of {len(tasks)} shards: start it again")

    def _rows(self, work: Work[TaskT, ResultT], tasks: Sequence[TaskT]) -> Iterator[dict[str, Any]]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ray = self._ray
        gpus = self._gpus()
        self._require_room(gpus)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)  # other nodes may go
        options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
        counter = ray.remote(**options)(_Tries).remote()
        given = ray.put(pickle.dumps((work, list(tasks))))
        places = [{"place": place} for place in range(len(tasks))]
        dataset = ray.data.from_items(places, override_num_blocks=min(len(places), _BLOCKS))
        most = self._resources.workers or min(len(tasks), _MOST_ACTORS)
        device = self._resources.device if gpus else "cpu"
        worked = dataset.map_batches(
            _Actor,
            fn_constructor_args=(given, counter, device, self._resources.cpus_per_worker),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=max(1, most), max_tasks_in_flight_per_actor=2),
            num_cpus=self._resources.cpus_per_worker,
            num_gpus=gpus or None,
        )
        yield from worked.iter_rows()

    def _require_room(self, gpus: float) -> None:
        """Checks that some node has what an actor needs: Ray would wait for one without end.

        Raises:
            InputError: none has, and it is a cluster of this call's own.
        """
        wanted = {"CPU": float(self._resources.cpus_per_worker), "GPU": gpus}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(all(node.get(kind, 0.0) >= number for kind, number in wanted.items()) for node in nodes):
            return
        needed = f"a worker needs {wanted['CPU']:g} processors" + (f" and {gpus:g} GPUs" if gpus else "")
        if not self._address:
            raise InputError(f"{needed}, which this machine has not: give less")
        logger.warning("%s, and no node of the cluster has them now: waiting for one", needed)

    def _gpus(self) -> float:
        """Returns the GPUs of each actor."""
        if self._resources.gpus_per_worker is not None:
            return self._resources.gpus_per_worker
        if self._resources.device == "cpu":
            return 0.0
        there = self._ray.cluster_resources().get("GPU", 0)
        return 1.0 if there or self._resources.device.startswith("cuda") else 0.0

    def _begin(self) -> None:
        if self._address and "://" in self._address:
            raise InputError(
                f"--ray-address {self._address}: Ray Data does not work through a client; start the command on a node "
                "of the cluster with --ray-address auto, or send it there by ray job submit"
            )
        try:
            if self._address:
                _require_answer(self._address)
            self._ray.init(
                address=self._address or "local",
                include_dashboard=None if self._address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:  # of whatever kind the transport has
            where = f"at {self._address}" if self._address else "on this machine"
            raise InputError(f"no Ray cluster {where}: {first_line(error)}; ray start --head begins one") from error

    @contextlib.contextmanager
    def _joined(self) -> Iterator[None]:
        """Belongs to a cluster while open."""
        ray = self._ray
        mine = not ray.is_initialized()
        if mine:
            with _signals_kept():
                self._begin()
        context = ray.data.DataContext.get_current()
        before = (context.max_errored_blocks, context.enable_progress_bars, context.print_on_execution_start)
        # With errors allowed, a pool of one size waits without end for an actor that has died (ray-project/ray#62746).
        context.max_errored_blocks, context.enable_progress_bars, context.print_on_execution_start = 0, False, False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        try:
            yield
        finally:
            context.max_errored_blocks, context.enable_progress_bars, context.print_on_execution_start = before
            if mine:
                ray.shutdown()


def _require_answer(address: str) -> None:
    """Checks that somebody listens: Ray itself would try for minutes.

    Raises:
        OSError, ValueError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Has signals do afterwards what they did: Ray has some of its own end the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Tries:
    """Counts how often the work on a shard has begun; an actor of its own, which outlives those that do the work."""

    def __init__(self) -> None:
        self._begun: dict[int, list[str]] = {}

    def begin(self, place: int, node: str) -> int:
        """Returns the number of tries, this one included; one that a node took along is none, as a rule."""
        begun = self._begun.setdefault(place, [])
        begun.append(node)
        if not TRIES < len(begun) <= _MOST_TRIES:
            return len(begun)
        alive = self._alive()
        return sum(node in alive for node in begun)

    def _alive(self) -> set[str]:
        return {node["NodeID"] for node in library("ray").nodes() if node["Alive"]}

    def end(self, place: int) -> None:
        self._begun.pop(place, None)


class _Actor:
    """Does the work in a process of Ray's."""

    def __init__(self, given: Any, counter: Any, device: str, threads: int) -> None:
        ray = library("ray")
        self._ray, self._counter = ray, counter
        work, self._tasks = pickle.loads(ray.get(given))  # of our own driver
        torch.set_num_threads(threads)
        self._work: Any = None
        self._failure: MonetError | None = None
        try:
            self._work = work.worker(device, threads, time.monotonic, lambda: False)  # Ray ends it at once
        except MonetError as error:  # such as a device that is not there; told by the first task, in one line
            self._failure = error

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        places = [int(place) for place in batch["place"]]
        return {"place": places, "result": [pickle.dumps(self._done(place)) for place in places]}

    def _done(self, place: int) -> Any:
        if self._failure:
            return self._failure
        node = self._ray.get_runtime_context().get_node_id()
        tries = self._ray.get(self._counter.begin.remote(place, node), timeout=_PATIENCE)
        if tries > _MOST_TRIES:
            return Lost(f"its processes and nodes ended {_MOST_TRIES} times at this shard")
        if tries > TRIES:
            return Lost(f"its process ended {TRIES} times at this shard")
        try:
            result = self._work(self._tasks[place])
        except MonetError as error:
            return error
        self._counter.end.remote(place)
        return result
