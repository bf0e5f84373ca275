"""Scores of images in shards: sums over each shard, which add up to what one machine would compute of all of them.

FID, MiFID and memorization distance need of the images no more than `FeatureSums` and a mean. An interval comes from
the jackknife over groups of images (Kott 2001, "The delete-a-group jackknife"): the score without each group in turn.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from monet.clock import Clock
from monet.data.decode import UnreadableImage, decode
from monet.device import choose_device
from monet.display import Display
from monet.errors import InputError, shown
from monet.scoring.bootstrap import Interval
from monet.scoring.frechet import FeatureSums, FrechetReference
from monet.scoring.inception import FeatureExtractor, Layer
from monet.scoring.memorization import mifid, nearest
from monet.scoring.score import Score, kid_of_subsets, require_epsilon
from monet.scoring.weights import InceptionWeights
from monet.shards.engine import Engine, Lost
from monet.shards.find import Shard
from monet.shards.formats import DamagedShard, reading
from monet.shards.rows import Item, Stopped
from monet.threads import ahead, thread_pool

_GROUPS = 20
_FEWER_GROUPS = 10
"""Where the reference is large, and the sums with it."""
_LARGE = 1024
_BATCH = 32
_PIECE = 2048
"""Images whose features are in memory at a time."""
_MOST_KID = 1000
_KID_SUBSETS = 100
_MOST_BAD = 20
_MOST_SIZES = 8
"""Of the images of a shard."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Of some images: all that their scores need."""

    features: FeatureSums
    distances: float = 0.0
    """Sum of the distances to the nearest training painting."""
    directed: int = 0
    """Images that have such a distance."""

    def __add__(self, other: Sums) -> Sums:
        """Returns the sums of both together."""
        return Sums(self.features + other.features, self.distances + other.distances, self.directed + other.directed)

    def fid(self, reference: FrechetReference) -> float:
        """Returns the Fréchet distance."""
        return reference.distance_of(self.features)

    @property
    def memorization_distance(self) -> float:
        """Mean distance to the nearest training painting.

        Raises:
            ValueError: no image has one.
        """
        if not self.directed:
            raise ValueError("all features of a set sum to 0: the memorization distance is not defined")
        return self.distances / self.directed


@dataclass(frozen=True, eq=False)
class Part:
    """Of the images of one size in a shard."""

    groups: dict[int, Sums]
    """Their sums, by group."""
    kid: tuple[float, ...]
    """Kernel distances of subsets."""
    images: int
    """How many they are."""


@dataclass(frozen=True, eq=False)
class ShardSums:
    """Of a shard."""

    parts: dict[tuple[int, int], Part]
    """Its images, by height and width."""
    images: int = 0
    """Pictures that it holds."""
    bad: tuple[str, ...] = ()
    """The first of those that are left out, with the reasons."""
    problem: str | None = None
    """Why nothing of it could be read."""


@dataclass(frozen=True)
class Scoring:
    """The work of scoring shards; it is sent to the processes that do it."""

    weights: InceptionWeights
    layer: Layer
    reference: NDArray[np.float32]
    """Features, (M, D)."""
    training: NDArray[np.float32]
    """Features, (K, D), of the paintings that could have been memorized."""
    groups: int
    shards: int

    def worker(self, device: str, threads: int, _: Clock, stopping: Callable[[], bool], /) -> _ShardScorer:
        """Returns what does the work in a process."""
        return _ShardScorer(self, device, threads, stopping)


class _ShardScorer:
    def __init__(self, work: Scoring, device: str, threads: int, stopping: Callable[[], bool]) -> None:
        self._work = work
        self._threads = threads
        self._stopping = stopping
        self._extractor = FeatureExtractor(work.weights, work.layer, device=choose_device(device), workers=threads)
        self._reference = FrechetReference(work.reference)

    def __call__(self, shard: Shard) -> ShardSums:
        """Returns the sums of a shard."""
        read = _Reading(self._threads, self._stopping)
        parts: dict[tuple[int, int], _Adding] = {}
        try:
            with reading(shard) as source:
                for batch in read.batches(source.items()):
                    size = (batch.shape[1], batch.shape[2])
                    if size not in parts:
                        parts[size] = _Adding(self._work, self._reference, shard.name)
                    parts[size].add(self._extractor.features([batch]))
        except DamagedShard as error:
            return ShardSums({}, problem=str(error))
        found = {size: adding.part() for size, adding in parts.items()}
        return ShardSums(found, read.images, tuple(read.bad[:_MOST_BAD]))


class _Adding:
    """Adds up features of images of one size, some thousands at a time."""

    def __init__(self, work: Scoring, reference: FrechetReference, name: str) -> None:
        self._work = work
        self._summing = Summing(reference, work.training, work.groups, name, work.shards)
        self._waiting: list[NDArray[np.float32]] = []
        self._kid: list[float] = []

    def add(self, features: NDArray[np.float32]) -> None:
        self._waiting.append(features)
        if sum(map(len, self._waiting)) >= _PIECE:
            self._sum()

    def part(self) -> Part:
        """Returns the sums of all of them."""
        self._sum()
        return Part(self._summing.groups, tuple(self._kid), self._summing.images)

    def _sum(self) -> None:
        if not self._waiting:
            return
        piece = np.concatenate(self._waiting)
        self._waiting.clear()
        seed = self._summing.seed + self._summing.images
        self._summing.add(piece)
        wanted = max(1, -(-_KID_SUBSETS // self._work.shards)) - len(self._kid)
        size = kid_size(self._work.reference)
        if wanted > 0 and len(piece) >= size:
            self._kid += kid_of_subsets(piece, self._work.reference, size=size, subsets=wanted, seed=seed)


def kid_size(reference: NDArray[np.float32]) -> int:
    """Returns how many images a subset for the KID has."""
    return min(_MOST_KID, max(2, len(reference) // 2))


class Summing:
    """Adds up features, by groups that follow from the name of their shard.

    Args:
        reference: the other side.
        training: (K, D), the paintings that could have been memorized.
        groups: their number.
        name: of the shard.
        shards: how many there are: where they are many, each is of one group.
    """

    def __init__(
        self, reference: FrechetReference, training: NDArray[np.float32], groups: int, name: str, shards: int
    ) -> None:
        self.groups: dict[int, Sums] = {}
        self.images = 0
        self.seed = zlib.crc32(name.encode(errors="replace"))
        self._reference, self._training = reference, training
        self._number, self._whole = groups, shards >= 4 * groups

    def add(self, features: NDArray[np.float32]) -> None:
        """Adds features, (N, D).

        Raises:
            ValueError: the training paintings have no direction.
        """
        places = np.full(len(features), self.seed % self._number)
        if not self._whole:
            places = (self.seed + self.images + np.arange(len(features))) % self._number
        distances = _distances(features, self._training)
        for place in np.unique(places):
            chosen = places == place
            known = distances[chosen][np.isfinite(distances[chosen])]
            sums = Sums(self._reference.sums(features[chosen]), float(known.sum()), len(known))
            before = self.groups.get(int(place))
            self.groups[int(place)] = before + sums if before else sums
        self.images += len(features)


def _distances(features: NDArray[np.float32], training: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the distance of each image to its nearest painting; nan where an image has no direction."""
    if not (features.sum(1) != 0).any():
        return np.full(len(features), np.nan)
    return nearest(features, training)[0]


class _Reading:
    """Decodes the pictures of a shard, and keeps account of them."""

    def __init__(self, threads: int, stopping: Callable[[], bool]) -> None:
        self.images = 0
        self.bad: list[str] = []
        self._threads, self._stopping = threads, stopping

    def batches(self, items: Iterator[Item]) -> Iterator[NDArray[np.uint8]]:
        """Returns the pictures, (B, H, W, 3) uint8, those of one size together."""
        waiting: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
        with thread_pool(self._threads) as pool:
            futures = ((item, pool.submit(_decoded, item)) for item in items)
            for item, future in ahead(futures, 2 * _BATCH):
                if self._stopping():
                    raise Stopped
                self.images += 1
                pixels = future.result()
                if not isinstance(pixels, str) and pixels.shape not in waiting and len(waiting) == _MOST_SIZES:
                    pixels = f"{pixels.shape[1]}×{pixels.shape[0]} pixels: too many different sizes"
                if isinstance(pixels, str):
                    self.bad.append(f"{shown(item.name)} ({pixels})")
                    continue
                batch = waiting.setdefault(pixels.shape, [])
                batch.append(pixels)
                if len(batch) == _BATCH:
                    yield np.stack(batch)
                    batch.clear()
        yield from (np.stack(batch) for batch in waiting.values() if batch)


def _decoded(item: Item) -> NDArray[np.uint8] | str:
    if item.data is None or item.problem:
        return item.problem or "no bytes"
    try:
        return decode(item.data)
    except UnreadableImage as error:
        return str(error)


@dataclass
class ScoredShards:
    """The scores of images in shards."""

    score: Score
    """The numbers."""
    fid: Interval
    """FID with the interval of the jackknife."""
    mifid: Interval
    """MiFID, likewise."""
    feature_layer: str
    """Layer of the network."""
    weights: str
    """Where its weights come from."""
    weights_sha256: str
    """Of the weights' file."""
    weights_known: bool
    """They are torch-fidelity's released ones."""
    groups: int
    """Of the jackknife."""
    shards: int
    """All of them."""
    left_out: int = 0
    """Pictures that could not be read."""
    warnings: tuple[str, ...] = ()
    """Reasons why the score is worth less than it looks."""
    bad: list[str] = field(default_factory=list)
    """The first of the pictures that are left out, with the reasons."""
    lost: list[str] = field(default_factory=list)
    """The first of the shards of which nothing could be read, with the reasons."""
    lost_shards: int = 0
    """Their number."""

    @property
    def memorized(self) -> bool:
        """The memorization distance is below epsilon, so that FID is divided by it."""
        return self.score.memorization_distance < self.score.epsilon

    @property
    def complete(self) -> bool:
        """Everything could be read."""
        return not self.bad and not self.lost

    def numbers(self) -> dict[str, object]:
        """Returns all that is said about the set as a whole, as JSON has it; intervals are those of 95 %."""
        return {
            **dataclasses.asdict(self.score),
            **({} if self.score.kid_subset_size else {"kid_mean": None, "kid_std": None}),
            "fid_low": _finite(self.fid.low),
            "fid_high": _finite(self.fid.high),
            "mifid_low": _finite(self.mifid.low),
            "mifid_high": _finite(self.mifid.high),
            "groups": self.groups,
            "shards": self.shards,
            "lost_shards": self.lost_shards,
            "left_out": self.left_out,
            "feature_layer": self.feature_layer,
            "weights": self.weights,
            "weights_sha256": self.weights_sha256,
            "weights_known": self.weights_known,
            "warnings": list(self.warnings),
        }


def score_shards(
    shards: Sequence[Shard],
    engine: Engine,
    *,
    reference: NDArray[np.float32],
    training: NDArray[np.float32],
    weights: InceptionWeights,
    layer: Layer,
    epsilon: float,
    display: Display | None = None,
) -> ScoredShards:
    """Scores the images of some shards.

    Args:
        shards: the images.
        engine: what carries it out.
        reference: (M, D) features of what they are compared with.
        training: (K, D) features of the paintings that could have been memorized.
        weights: of the network.
        layer: where the features come from.
        epsilon: threshold of the memorization distance.
        display: shows progress.

    Raises:
        InputError: fewer than two images can be read, or they have no direction.
        MonetError: the engine gave up.
    """
    require_epsilon(epsilon)
    display = display or Display()
    groups = _GROUPS if min(reference.shape) <= _LARGE else _FEWER_GROUPS
    work = Scoring(weights, layer, reference, training, groups, len(shards))
    sizes: dict[tuple[int, int], _Whole] = {}
    bad: list[str] = []
    lost: list[str] = []
    images = 0
    display.begin("scoring", len(shards), "shards")
    for shard, result in engine.run(work, shards):
        if isinstance(result, Lost) or result.problem:
            lost.append(f"{shard.address} ({result.reason if isinstance(result, Lost) else result.problem})")
        else:
            images += result.images
            bad += [f"{item} in {shard.address}" for item in result.bad]
            for size, part in result.parts.items():
                sizes.setdefault(size, _Whole(shard.address)).add(part)
        display.advance()
    display.end()
    most = max(sizes, key=lambda size: (sizes[size].images, size), default=None)
    for size, whole in sizes.items():
        if size != most:
            count = f"{whole.images:,} of {size[1]}×{size[0]} pixels"
            bad.insert(0, f"{count}, unlike most, such as in {whole.first}")
    whole = sizes[most] if most else _Whole("")
    return _scored(whole, bad, lost, images, work, epsilon)


@dataclass
class _Whole:
    """The sums of all images of one size."""

    first: str
    """A shard that holds some."""
    sums: dict[int, Sums] = field(default_factory=dict)
    kid: list[float] = field(default_factory=list)
    images: int = 0

    def add(self, part: Part) -> None:
        for group, sums in part.groups.items():
            self.sums[group] = self.sums[group] + sums if group in self.sums else sums
        self.kid += part.kid
        self.images += part.images


def _scored(
    found: _Whole, bad: Sequence[str], lost: Sequence[str], images: int, work: Scoring, epsilon: float
) -> ScoredShards:
    sums, kid = found.sums, found.kid
    count = sum(part.features.count for part in sums.values())
    if count < 2:
        raise InputError(f"{count} images could be read: a score needs at least two" + _first([*lost, *bad]))
    reference = FrechetReference(work.reference)
    parts = [sums[group] for group in sorted(sums)]
    try:
        whole = _total(parts)
        fid, distance = whole.fid(reference), whole.memorization_distance
        without = [_total([*parts[:place], *parts[place + 1 :]]) for place in range(len(parts)) if len(parts) > 1]
        usable = [part for part in without if part.features.count > 1 and part.directed]
        fids = np.array([part.fid(reference) for part in usable])
    except ValueError as error:
        raise InputError(str(error)) from error
    mifids = [mifid(value, part.memorization_distance, epsilon) for value, part in zip(fids, usable, strict=True)]
    size = kid_size(work.reference)
    left_out = images - count
    warnings = [f"nothing could be read of {len(lost):,} of {work.shards:,} shards"] if lost else []
    if left_out:
        warnings.append(f"{left_out:,} of {images:,} pictures are left out")
    if not work.weights.known:
        warnings.append(f"{work.weights.source} are not torch-fidelity's released weights")
    score = Score(
        fid=fid,
        mifid=mifid(fid, distance, epsilon),
        memorization_distance=distance,
        kid_mean=float(np.mean(kid)) if kid else float("nan"),
        kid_std=float(np.std(kid)) if kid else float("nan"),
        kid_subset_size=size if kid else 0,
        num_generated=count,
        num_reference=len(work.reference),
        epsilon=epsilon,
    )
    return ScoredShards(
        score=score,
        fid=jackknifed(fid, fids),
        mifid=jackknifed(score.mifid, np.array(mifids)),
        feature_layer=work.layer,
        weights=work.weights.source,
        weights_sha256=work.weights.sha256,
        weights_known=work.weights.known,
        groups=len(parts),
        shards=work.shards,
        left_out=left_out,
        warnings=tuple(warnings),
        bad=list(bad[:_MOST_BAD]),
        lost=list(lost[:_MOST_BAD]),
        lost_shards=len(lost),
    )


def jackknifed(value: float, without: NDArray[np.float64], level: float = 0.95) -> Interval:
    """Returns the interval of an estimate.

    Args:
        value: the estimate.
        without: (G,) the estimates without each group in turn; with fewer than two the interval is all numbers.
        level: of confidence.
    """
    groups = len(without)
    if groups < 2:
        return Interval(value, float("-inf"), float("inf"))
    error = float(np.sqrt((groups - 1) / groups * np.square(without - without.mean()).sum()))
    half = error * float(student.ppf((1 + level) / 2, groups - 1))
    return Interval(value, value - half, value + half)


def _finite(value: float) -> float | None:
    """Returns a number as JSON has it, which has none without end."""
    return value if np.isfinite(value) else None


def _total(parts: Sequence[Sums]) -> Sums:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _first(bad: Sequence[str]) -> str:
    return f"; the first of the others: {bad[0]}" if bad else ""
