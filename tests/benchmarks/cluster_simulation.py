"""How long a cluster paints many shards, simulated: every shard's time and every node's end is drawn."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import simpy

from tests.benchmarks.cluster_formula import DAY, Cluster

Steps = Generator[simpy.Event, object, bool]
"""What a device does; it ends with whether the node is still there."""


@dataclass(frozen=True)
class Outcome:
    """What a simulation found."""

    seconds: float
    completed: tuple[int, ...]
    """How often each shard was finished."""
    ends: int
    """Nodes that went away."""
    lost: float
    """Seconds of devices whose work had to be done again."""


class Simulation:
    """All shards on all devices, with drawn times.

    Args:
        cluster: what is simulated.
        seed: of the draws.
    """

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._environment = simpy.Environment()
        self._draws = np.random.default_rng(seed)
        sigma = math.sqrt(math.log1p(cluster.spread**2))
        self._factors = self._draws.lognormal(-(sigma**2) / 2, sigma, cluster.shards).tolist()
        self._waiting = deque(range(cluster.shards))
        self._returned = self._environment.event()
        self._store = simpy.Resource(self._environment)
        self._completed = [0] * cluster.shards
        self._left = cluster.shards
        self._all_done = self._environment.event()
        self._lost = 0.0

    def run(self) -> Outcome:
        """Returns what happened until the last shard was finished."""
        nodes = [_Node(speed, self._cluster, self._draws) for speed in self._cluster.speeds]
        for node in nodes:
            for _ in range(self._cluster.devices_per_node):
                self._environment.process(self._device(node))
        self._environment.run(until=self._all_done)
        now = float(self._environment.now)
        return Outcome(now, tuple(self._completed), sum(node.ends_until(now) for node in nodes), self._lost)

    def _device(self, node: _Node) -> Generator[simpy.Event, object, None]:
        for life in itertools.count():
            begins, ends = node.life(life)
            yield self._environment.timeout(max(0.0, begins - self._environment.now))
            alive = yield from self._spend(self._cluster.warm_up, ends)
            while alive:
                alive = yield from self._next(node, ends)

    def _next(self, node: _Node, ends: float) -> Steps:
        """Does a shard, or waits for one; says whether the node is still there."""
        if not self._waiting:
            yield self._until(self._returned, ends)
            return self._environment.now < ends
        shard, began = self._waiting.popleft(), self._environment.now
        if (yield from self._paint(shard, node.speed, ends)):
            self._completed[shard] += 1
            self._left -= 1
            if not self._left:
                self._all_done.succeed()
            return True
        self._lost += self._environment.now - began
        self._waiting.appendleft(shard)
        self._returned.succeed()
        self._returned = self._environment.event()
        return False

    def _paint(self, shard: int, speed: float, ends: float) -> Steps:
        cluster = self._cluster
        images = min(cluster.shard, cluster.images - shard * cluster.shard)
        seconds = self._factors[shard] * (images / cluster.images_per_second + cluster.overhead) / speed
        return (
            (yield from self._move(images * cluster.bytes_read, ends))
            and (yield from self._spend(seconds, ends))
            and (yield from self._move(images * cluster.bytes_written, ends))
        )

    def _move(self, size: float, ends: float) -> Steps:
        """Moves bytes to or from the store, which serves one after the other with all it has."""
        if math.isinf(self._cluster.store):
            return True
        with self._store.request() as served:
            yield self._until(served, ends)
            return served.triggered and (yield from self._spend(size / self._cluster.store, ends))

    def _spend(self, seconds: float, ends: float) -> Steps:
        left = ends - self._environment.now
        yield self._environment.timeout(min(seconds, left))
        return seconds < left

    def _until(self, event: simpy.Event, ends: float) -> simpy.Event:
        if math.isinf(ends):
            return event
        return event | self._environment.timeout(ends - self._environment.now)


class _Node:
    """A node's place: the times in which there is one, drawn as they are asked for."""

    def __init__(self, speed: float, cluster: Cluster, draws: np.random.Generator) -> None:
        self.speed = speed
        self._cluster = cluster
        self._draws = draws
        self._lives: list[tuple[float, float]] = []

    def life(self, index: int) -> tuple[float, float]:
        """Returns from when to when the node is up for the time of that index."""
        while len(self._lives) <= index:
            begins = self._lives[-1][1] + self._cluster.replacement if self._lives else 0.0
            rate = self._cluster.preemptions / DAY
            self._lives.append((begins, begins + float(self._draws.exponential(1 / rate)) if rate else math.inf))
        return self._lives[index]

    def ends_until(self, now: float) -> int:
        """Returns how often it has gone away."""
        return sum(ends <= now for _, ends in self._lives)
