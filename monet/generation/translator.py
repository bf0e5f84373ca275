"""Images of any size through a trained generator, in either direction."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from monet.data.decode import upright_rgb
from monet.data.pixels import Pixels, to_bytes, to_floats
from monet.device import Precision
from monet.errors import InputError
from monet.generation.normalisation import KeptStatistics
from monet.generation.padding import LEAST_SIDE, Padding
from monet.generation.painter import run_generator
from monet.generation.tiles import reach_of, tiles
from monet.models import DIRECTIONS, Direction, Generators

ImageT = TypeVar("ImageT", Image.Image, NDArray[np.uint8], Tensor)

TILE = 1536
"""Pixels: an image with more than a square of this side goes through a generator in tiles. Full HD does not."""


class PixelTranslator(Protocol):
    """Whatever translates single pictures: a `Translator`, or a generator in another runtime."""

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions that it has."""

    def translate(self, pixels: Pixels, direction: Direction, /) -> Pixels:
        """(H, W, 3) uint8 => the same."""


class Translator:
    """The generators of a run, ready to translate images.

    Args:
        generators: on the CPU; they are moved.
        device: where the networks run.
        precision: of their convolutions.
        tile: images of more pixels than a square of this side are translated in tiles of it, with the statistics of
            normalisation that the image has when it is reduced to that many pixels.

    Raises:
        InputError: tiles are smaller than what the networks can halve.
    """

    def __init__(
        self,
        generators: Generators,
        *,
        device: torch.device,
        precision: Precision,
        tile: int = TILE,
    ) -> None:
        self.device = device
        """Where the networks run."""
        self.precision = precision
        """Of their convolutions."""
        model = generators.config.model
        self._padding = Padding.of(model)
        self._reach = reach_of(model)
        if tile < (least := max(self._padding.multiple, LEAST_SIDE)):
            raise InputError(f"tiles of {tile} pixels are too small: give at least {least}")
        self._tile = tile
        self._generators = {
            direction: generator.to(device).to(memory_format=torch.channels_last)
            for direction, generator in generators.by_direction.items()
        }

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions that are trained."""
        return tuple(self._generators)

    def translate(self, image: ImageT, direction: Direction = "ab") -> ImageT:
        """Translates an image, or a batch of images of one size.

        Args:
            image: a Pillow image; an array, (H, W, 3) or (B, H, W, 3), uint8 0…255; or a tensor, (3, H, W) or
                (B, 3, H, W), uint8 0…255 or float −1…1. RGB. Any height and width.
            direction: `ab` from the source domain to the target, `ba` back.

        Returns:
            The same type, shape, range and device; a Pillow image is RGB, and upright if its EXIF data say how it lies.

        Raises:
            TypeError: the image has another type.
            ValueError: its shape, dtype or range, or the direction, is another.
            MonetError: the checkpoint's weights give values that are not numbers.
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction is {direction!r}: expected 'ab' or 'ba'")
        if direction not in self._generators:
            raise ValueError(f"direction {direction!r} is not trained where training.lambda_cycle is 0: expected 'ab'")
        if isinstance(image, Image.Image):
            pixels = np.asarray(upright_rgb(image))
            return Image.fromarray(self._translate_array(pixels, direction))
        if isinstance(image, np.ndarray):
            return self._translate_array(image, direction)
        if isinstance(image, Tensor):
            return self._translate_tensor(image, direction)
        raise TypeError(f"image is a {type(image).__name__}: expected a Pillow image, a NumPy array or a tensor")

    def in_tiles(self, height: int, width: int) -> bool:
        """Returns whether an image of this size goes through a generator in tiles."""
        return height * width > self._tile**2

    def statistics(self, direction: Direction) -> KeptStatistics:
        """Returns the generator of a direction as one that keeps the statistics of its normalisation, for `frame`."""
        return KeptStatistics(self._generators[direction])

    def frame(self, pixels: NDArray[np.uint8], statistics: KeptStatistics, own_share: float) -> NDArray[np.uint8]:
        """Translates a frame of a video, (H, W, 3) uint8, normalised in part as the frames before it.

        Args:
            pixels: the frame.
            statistics: of the frames before; this one's are mixed into them.
            own_share: share of this frame's own statistics, 0 to 1; the first frame has its own in any case.
        """
        images = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]
        return self._run(images, statistics, own_share)[0].permute(1, 2, 0).numpy()

    def _translate_array(self, pixels: NDArray[np.uint8], direction: Direction) -> NDArray[np.uint8]:
        """(H, W, 3) or (B, H, W, 3) uint8 => the same shape."""
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or pixels.shape[-1] != 3 or 0 in pixels.shape:
            raise ValueError(
                f"array has shape {pixels.shape} and dtype {pixels.dtype}: expected (H, W, 3) or (B, H, W, 3), uint8"
            )
        batch = torch.from_numpy(np.require(pixels.reshape(-1, *pixels.shape[-3:]), requirements=["C", "W"]))
        translated = self._translate_batch(batch.permute(0, 3, 1, 2), direction)
        return np.ascontiguousarray(translated.permute(0, 2, 3, 1).numpy()).reshape(pixels.shape)

    def _translate_tensor(self, images: Tensor, direction: Direction) -> Tensor:
        """(3, H, W) or (B, 3, H, W), uint8 or float => the same shape and dtype."""
        if images.ndim not in (3, 4) or images.shape[-3] != 3 or 0 in images.shape:
            raise ValueError(f"tensor has shape {tuple(images.shape)}: expected (3, H, W) or (B, 3, H, W)")
        floating = images.is_floating_point() and bool((images.abs() <= 1).all())
        if images.dtype != torch.uint8 and not floating:
            raise ValueError(f"tensor is {images.dtype}: expected uint8 0…255, or float from −1 to 1")
        translated = self._translate_batch(images.reshape(-1, *images.shape[-3:]), direction)
        return translated.reshape(images.shape).to(images.device, images.dtype).contiguous()

    def _translate_batch(self, images: Tensor, direction: Direction) -> Tensor:
        """(B, 3, H, W), uint8 or float => the same, on the CPU where it is uint8, else in fp32."""
        images = images.cpu() if images.dtype == torch.uint8 else images
        if not self.in_tiles(images.shape[-2], images.shape[-1]):
            return self._whole(images, self._generators[direction])
        statistics = self.statistics(direction)
        return torch.cat([self._run(image[None], statistics, own_share=1.0) for image in images])

    def _run(self, image: Tensor, statistics: KeptStatistics, own_share: float) -> Tensor:
        """As `_translate_batch`, for one image: with mixed statistics, and in tiles where it is large."""
        height, width = image.shape[-2:]
        statistics.mix(own_share)
        if not self.in_tiles(height, width):
            translated = self._whole(image, statistics.generator)
            statistics.keep()
            return translated
        scale = self._tile / (height * width) ** 0.5
        size = [max(1, int(side * scale)) for side in (height, width)]
        self._whole(F.interpolate(image, size, mode="bilinear", antialias=True), statistics.generator)
        statistics.keep()
        statistics.mix(0.0)
        return self._tiled(image, statistics.generator)

    def _whole(self, images: Tensor, generator: torch.nn.Module) -> Tensor:
        height, width = images.shape[-2:]
        return _like(self._through(self._padding.pad(images), generator)[..., :height, :width], images)

    def _tiled(self, image: Tensor, generator: torch.nn.Module) -> Tensor:
        padded, translated = self._padding.pad(image), torch.empty_like(image)
        height, width = padded.shape[-2:]
        for tile in tiles(height, width, side=self._tile, reach=self._reach, multiple=self._padding.multiple):
            output = self._through(padded[..., tile.seen[0], tile.seen[1]], generator)
            output = _like(output[..., tile.inner[0], tile.inner[1]], image)
            place = translated[..., tile.kept[0], tile.kept[1]]  # without what was padded
            place.copy_(output[..., : place.shape[-2], : place.shape[-1]])
        return translated

    def _through(self, images: Tensor, generator: torch.nn.Module) -> Tensor:
        """(B, 3, H, W), uint8 or float, of a size that the generator can halve => float on the device."""
        moved = images.to(self.device)
        floating = to_floats(moved) if images.dtype == torch.uint8 else moved.float()
        floating = floating.contiguous(memory_format=torch.channels_last)
        return run_generator(generator, floating, self.device, self.precision)


def _like(translated: Tensor, images: Tensor) -> Tensor:
    """Returns the output of a generator as its input is: uint8 0…255 on the CPU, rounded, or float −1…1."""
    if images.dtype == torch.uint8:
        return to_bytes(translated).cpu()
    return translated.float().clamp(-1, 1).clone(memory_format=torch.contiguous_format)  # no inference tensor
