"""How long a cluster paints many shards, as a formula.

Devices may be slow, go away for a while and be replaced, and all read and write one store. Nothing here is measured:
what a device does in a second is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

DAY = 86400.0
_POINTS = 2000
"""Of the integral over the last shards' ends."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Work, and who does it. Times are in seconds."""

    images: int = 100_000_000
    devices: int = 64
    devices_per_node: int = 8
    images_per_second: float = 100.0
    """Of a device, without what a shard costs beside its images."""
    shard: int = 5000
    """Images of one."""
    overhead: float = 1.0
    """That a shard costs whatever its size: requests to the store and to the driver."""
    spread: float = 0.2
    """Standard deviation of a shard's time, as a share of its mean; times are lognormal."""
    slow_share: float = 0.125
    """Of the nodes."""
    slow_speed: float = 0.7
    """Of a slow node, where others have 1."""
    preemptions: float = 1.0
    """Of a node in a day that it is up, as a Poisson process."""
    replacement: float = 300.0
    """Until another node is in the place of one that went."""
    warm_up: float = 30.0
    """Of a worker before its first shard."""
    bytes_read: float = 14e3
    """Of an image: the mean of the competition's photos."""
    bytes_written: float = 44e3
    """The mean of their paintings at quality 95."""
    store: float = math.inf
    """Bytes in a second that the store gives and takes, in all."""

    def __post_init__(self) -> None:
        if self.devices % self.devices_per_node:
            raise ValueError(f"{self.devices} devices are no whole nodes of {self.devices_per_node}")

    @property
    def shards(self) -> int:
        """How many there are."""
        return math.ceil(self.images / self.shard)

    @property
    def speeds(self) -> list[float]:
        """Of the nodes, the slow ones first."""
        nodes = self.devices // self.devices_per_node
        slow = round(self.slow_share * nodes)
        return [self.slow_speed] * slow + [1.0] * (nodes - slow)

    @property
    def transfer(self) -> float:
        """Seconds in which the store gives and takes the bytes of an image."""
        return (self.bytes_read + self.bytes_written) / self.store

    def shard_seconds(self, speed: float) -> float:
        """Returns the mean time of a shard on a node of some speed."""
        return (self.shard / self.images_per_second + self.overhead) / speed + self.shard * self.transfer


@dataclass(frozen=True)
class Estimate:
    """What the formula says, in seconds: each term is what it adds to those before it."""

    ideal: float
    """Images over devices times images a second: nothing is ever lost."""
    overhead: float
    """Warm-up, what shards cost beside their images, and slow nodes."""
    preemptions: float
    """Work that is done again, warm-ups, and nodes that are away."""
    store: float
    """What the store's bytes a second hold up."""
    tail: float
    """Devices that have nothing left to do while others finish."""

    @property
    def total(self) -> float:
        """The whole."""
        return self.ideal + self.overhead + self.preemptions + self.store + self.tail


def formula(cluster: Cluster) -> Estimate:
    """Returns the time that all takes.

    With m seconds a shard, a device that ends λ times in a second of being up finishes λ m exp(−λ w) / (exp(λ m) − 1)
    of what it would without ends (w is the warm-up): about 1 − λ (m/2 + w), half a shard and a warm-up for each end. It
    is up 1 / (1 + λ R) of the time, R being the replacement. Rates add up over devices; the store bounds their sum.
    """
    rate = cluster.preemptions / DAY
    undisturbed = disturbed = 0.0
    for speed in cluster.speeds:
        m = cluster.shard_seconds(speed)
        per_second = cluster.devices_per_node * cluster.shard / m
        useful = rate * m * math.exp(-rate * cluster.warm_up) / math.expm1(rate * m) if rate else 1.0
        undisturbed += per_second
        disturbed += per_second * useful / (1 + rate * cluster.replacement)
    ideal = cluster.images / (cluster.devices * cluster.images_per_second)
    bounded = min(disturbed, 1 / cluster.transfer) if cluster.transfer else disturbed
    return Estimate(
        ideal=ideal,
        overhead=cluster.warm_up + cluster.images / undisturbed - ideal,
        preemptions=cluster.images * (1 / disturbed - 1 / undisturbed),
        store=cluster.images * (1 / bounded - 1 / disturbed),
        tail=_tail(cluster, bounded),
    )


def _tail(cluster: Cluster, images_per_second: float) -> float:
    """Returns what the end adds: the last shard's end, less the work that is still under way when the queue is empty.

    Where all shards take the same time, devices end in rounds, and what is lost is the last round's empty places.
    Elsewhere devices are anywhere in their shards, and the one that ends last is mostly a slow one's: the largest of as
    many remaining times as there are devices.
    """
    same = not cluster.spread and not cluster.preemptions and len(set(cluster.speeds)) == 1
    if same or cluster.shards <= cluster.devices:
        rounds = math.ceil(cluster.shards / cluster.devices)
        longest = cluster.shard_seconds(min(cluster.speeds))
        return max(0.0, rounds * longest - cluster.images / images_per_second)
    times = [(speed, cluster.shard_seconds(speed)) for speed in cluster.speeds]
    ends = np.linspace(0, 4 * (1 + cluster.spread) * max(m for _, m in times), _POINTS)
    none_later = np.ones(_POINTS)
    for _, m in times:
        none_later *= np.array([_remaining(end, m, cluster.spread) for end in ends]) ** cluster.devices_per_node
    later = 1 - none_later
    last = float(later.sum() - later[0] / 2) * float(ends[1])
    under_way = cluster.devices * cluster.shard * (1 + cluster.spread**2) / 2
    return last - under_way / images_per_second


def _remaining(x: float, mean: float, spread: float) -> float:
    """Returns how likely a shard that is looked at on the way has at most x seconds left; its time is lognormal."""
    if spread == 0 or x == 0:
        return min(1.0, x / mean)
    sigma = math.sqrt(math.log1p(spread**2))
    z = (math.log(x / mean) + sigma**2 / 2) / sigma
    longer, shorter_part = _normal(-z), _normal(z - sigma)
    return x * longer / mean + shorter_part


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
