"""Batches of pairs on the device, ready for the networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from monet.config import DataConfig
from monet.data.augment import Augmentation
from monet.data.store import ImageStore
from monet.data.stream import PairStream, Purpose
from monet.errors import InputError


class PairSource:
    """Looks up and augments the images of pairs.

    Args:
        photos: domain a.
        paintings: domain b.
        config: sizes, sampling, augmentation.
        seed: source of every random choice.
        device: where batches are wanted.

    Raises:
        InputError: a domain is empty, or the two cannot be aligned.
    """

    def __init__(
        self, photos: ImageStore, paintings: ImageStore, config: DataConfig, *, seed: int, device: torch.device
    ) -> None:
        self._augment = Augmentation(config, seed)
        if config.pairing == "aligned":
            _require_aligned(photos, paintings, self._augment)
        self._photos = photos.to(device)
        self._paintings = paintings.to(device)
        self._device = device
        self._purpose_b = Purpose.AUGMENT_A if config.pairing == "aligned" else Purpose.AUGMENT_B
        self.stream = PairStream(
            len(photos),
            len(paintings),
            samples_per_epoch=config.samples_per_epoch,
            sampling=config.sampling,
            pairing=config.pairing,
            seed=seed,
        )

    def batch(self, pairs: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Returns the photos and the paintings of several pairs, each (B, 3, H, W) with the crop's size, float32,
        −1…1."""
        photos, paintings = self.stream.indices(pairs)
        return (
            self._augment(self._take(self._photos, photos), pairs, Purpose.AUGMENT_A),
            self._augment(self._take(self._paintings, paintings), pairs, self._purpose_b),
        )

    def _take(self, store: ImageStore, rows: list[int]) -> Tensor | list[Tensor]:
        """Shape (B, 3, H, W), or B times (3, H, W), uint8, on the device; a store that is not there is read row by
        row."""
        if not isinstance(store.images, Tensor):
            return [store.images[row].to(self._device) for row in rows]
        index = torch.tensor(rows)
        if self._device.type == "cuda":
            index = index.pin_memory()
            if store.images.device.type == "cpu":
                return store.images[index].pin_memory().to(self._device, non_blocking=True)
        return store.images[index.to(store.images.device, non_blocking=True)].to(self._device)


def _require_aligned(photos: ImageStore, paintings: ImageStore, augmentation: Augmentation) -> None:
    names = [[path.stem for path in store.paths] for store in (photos, paintings)]
    if names[0] != names[1]:
        lonely = sorted(set(names[0]) ^ set(names[1]))[:3] or ["(names occur twice)"]
        raise InputError(
            f"data.pairing is aligned, but {', '.join(lonely)} has no partner: give both folders the same names"
        )
    for path, photo, painting in zip(photos.paths, photos.images, paintings.images, strict=True):
        sizes = [augmentation.loaded_size((image.shape[-2], image.shape[-1])) for image in (photo, painting)]
        if sizes[0] != sizes[1]:
            raise InputError(
                f"data.pairing is aligned, but {path} and its partner have different ratios: crop one of them, or give "
                "data.resize square or exact"
            )
