"""The endless stream of pairs: which photo and which painting are seen together, and by which chance.

Everything about pair *i* is a function of (seed, i) alone, whatever the batch size and the number of processes, so that
a run can continue at any pair without any state but its index.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray


class Purpose(IntEnum):
    """Purposes of random numbers; each has numbers of its own."""

    SUBSET = 0
    PHOTO_ORDER = 1
    PAINTING_ORDER = 2
    AUGMENT_A = 3
    AUGMENT_B = 4
    POOL_A = 5
    POOL_B = 6
    SAMPLE_GRID = 7
    COMPARISON = 8


def uniforms(seed: int, purpose: Purpose, index: int, count: int) -> NDArray[np.float64]:
    """Returns uniform random numbers for one purpose at one index.

    Counter-based (Philox 4×64, Salmon et al. 2011): the key is (seed, purpose), the counter starts at (0, index).

    Returns:
        Array of shape (count,), float64, in [0, 1).
    """
    bits = np.random.Philox(key=[seed, purpose], counter=[0, index, 0, 0]).random_raw(count)
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def permutation(seed: int, purpose: Purpose, index: int, size: int) -> NDArray[np.int64]:
    """Returns a random order of `size` things, for one purpose at one index.

    Returns:
        Array of shape (size,), int64, holding 0 to size − 1 once each.
    """
    return np.argsort(uniforms(seed, purpose, index, size), kind="stable")


def epoch_length(samples_per_epoch: int | Literal["all"], photos: int, paintings: int) -> int:
    """Returns the pairs of an epoch: as set, or as many as the larger domain has images."""
    return max(photos, paintings) if samples_per_epoch == "all" else samples_per_epoch


class PairStream:
    """Tells which images make pair *i*.

    Args:
        photos: images of domain a.
        paintings: images of domain b.
        samples_per_epoch: pairs an epoch, or `all` for as many as the larger domain has images.
        sampling: `fixed` draws one choice of `samples_per_epoch` photos and shows them in a new order each time;
            `fresh` shows all photos in turn, in a new order each time.
        pairing: `aligned` shows photo *k* with painting *k*.
        seed: source of every order.
    """

    def __init__(
        self,
        photos: int,
        paintings: int,
        *,
        samples_per_epoch: int | Literal["all"],
        sampling: Literal["fixed", "fresh"],
        seed: int,
        pairing: Literal["unaligned", "aligned"] = "unaligned",
    ) -> None:
        if min(photos, paintings) < 1:
            raise ValueError(f"{photos} photos and {paintings} paintings: at least one of each is needed")
        if pairing == "aligned" and photos != paintings:
            raise ValueError(f"{photos} photos and {paintings} paintings cannot be aligned one to one")
        self.samples_per_epoch = epoch_length(samples_per_epoch, photos, paintings)
        self._aligned = pairing == "aligned"
        self._paintings = paintings
        self._seed = seed
        chosen = self.samples_per_epoch if sampling == "fixed" else photos
        self._photos = np.sort(permutation(seed, Purpose.SUBSET, 0, photos)[:chosen])
        self._order = lru_cache(maxsize=4)(self._permutation)

    def photo(self, pair: int) -> int:
        """Returns the photo of a pair: each is seen once before any is seen again."""
        turn, position = divmod(pair, len(self._photos))
        return int(self._photos[self._order(Purpose.PHOTO_ORDER, turn, len(self._photos))[position]])

    def painting(self, pair: int) -> int:
        """Returns the painting of a pair: each is seen once before any is seen again."""
        if self._aligned:
            return self.photo(pair)
        turn, position = divmod(pair, self._paintings)
        return int(self._order(Purpose.PAINTING_ORDER, turn, self._paintings)[position])

    def indices(self, pairs: Sequence[int]) -> tuple[list[int], list[int]]:
        """Returns the photos and the paintings of several pairs."""
        return [self.photo(pair) for pair in pairs], [self.painting(pair) for pair in pairs]

    def _permutation(self, purpose: Purpose, turn: int, size: int) -> NDArray[np.int64]:
        return permutation(self._seed, purpose, turn, size)
