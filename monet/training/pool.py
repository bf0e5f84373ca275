"""The image pool of Shrivastava et al. 2017: discriminators see a history of fakes, not the latest alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from monet.data.stream import Purpose, uniforms

_EXCHANGED = 0.5
"""Probability that a new fake is exchanged for an earlier one, as in the paper."""


class ImagePool:
    """Holds fakes; each new one is, with probability ½, exchanged for one that was stored earlier.

    Which ones is a function of (seed, pair), so that the pool's only state is its images.

    Args:
        size: images held; 0 passes every fake through.
        seed: source of the choices.
        purpose: `POOL_A` or `POOL_B`.
    """

    def __init__(self, size: int, seed: int, purpose: Purpose) -> None:
        self.size = size
        self._seed = seed
        self._purpose = purpose
        self._images: Tensor | None = None
        self._replaced: list[tuple[int, Tensor]] = []
        """Slots that the last exchange filled, in order, with what they held."""

    def exchange(self, fakes: Tensor, pairs: Sequence[int], seen: int) -> Tensor:
        """Stores fakes and returns those that the discriminator is to see.

        Args:
            fakes: shape (B, 3, H, W), without gradient.
            pairs: the pair that each fake was made from.
            seen: fakes that were stored, or could have been, before this batch.

        Returns:
            Shape (B, 3, H, W): new and earlier fakes.
        """
        if self.size == 0:
            return fakes
        if self._images is None:
            self._images = torch.zeros((self.size, *fakes.shape[1:]), dtype=fakes.dtype, device=fakes.device)
        shown, self._replaced = [], []
        for position, (pair, fake) in enumerate(zip(pairs, fakes, strict=True)):
            chance, place = uniforms(self._seed, self._purpose, pair, 2)
            filling = seen + position < self.size
            slot = seen + position if filling else int(place * self.size)
            if filling or chance < _EXCHANGED:
                earlier = self._images[slot].clone()
                self._images[slot] = fake
                self._replaced.append((slot, earlier))
                shown.append(fake if filling else earlier)
            else:
                shown.append(fake)
        return torch.stack(shown)

    def finish_exchange(self, keep: Tensor) -> None:
        """Ends an exchange: puts the replaced images back, unless the step is kept.

        Args:
            keep: scalar bool on the device.
        """
        for slot, earlier in reversed(self._replaced):
            assert self._images is not None
            self._images[slot] = torch.where(keep, self._images[slot], earlier)
        self._replaced = []

    def state_dict(self) -> dict[str, Tensor | None]:
        """Returns the stored images."""
        return {"images": self._images}

    def load_state_dict(self, state: dict[str, Tensor | None], device: torch.device) -> None:
        """Loads stored images to the device."""
        images = state["images"]
        self._images = None if images is None else images.to(device)
