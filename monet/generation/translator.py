"""Images of any size through a trained generator, in either direction."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from monet.config import from_dict
from monet.data.decode import upright_rgb
from monet.data.pixels import to_network, to_pixels
from monet.device import Precision
from monet.generation.painter import run_generator
from monet.models import DIRECTIONS, Direction, Weights, generator_from_checkpoint

ImageT = TypeVar("ImageT", Image.Image, NDArray[np.uint8], Tensor)

_LEAST_SIDE = 16
"""Pixels: reflection padding inside of the networks needs so many."""


class Translator:
    """The generators of a checkpoint, ready to translate images.

    Args:
        contents: a checkpoint that `monet.training.stored.load_checkpoint` has read.
        weights: the averaged weights where the run has them, or the raw ones.
        device: where the networks run.
        precision: of their convolutions.
    """

    def __init__(
        self,
        contents: dict[str, Any],
        *,
        weights: Weights = "ema",
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.device = device
        """Where the networks run."""
        self.precision = precision
        """Of their convolutions."""
        config = from_dict(contents["config"])
        self._multiple = 2**config.model.downsamplings
        self._generators = {
            direction: generator_from_checkpoint(contents, direction=direction, weights=weights)
            .to(device)
            .to(memory_format=torch.channels_last)
            for direction in config.training.directions
        }

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

    def _translate_array(self, pixels: NDArray[np.uint8], direction: Direction) -> NDArray[np.uint8]:
        """(H, W, 3) or (B, H, W, 3) uint8 => the same shape."""
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or pixels.shape[-1] != 3 or 0 in pixels.shape:
            raise ValueError(
                f"array has shape {pixels.shape} and dtype {pixels.dtype}: expected (H, W, 3) or (B, H, W, 3), uint8"
            )
        batch = pixels if pixels.ndim == 4 else pixels[None]
        images = to_network(torch.from_numpy(np.require(batch, requirements=["C", "W"])), self.device)
        return to_pixels(self._run(images, direction)).reshape(pixels.shape)

    def _translate_tensor(self, images: Tensor, direction: Direction) -> Tensor:
        """(3, H, W) or (B, 3, H, W), uint8 or float => the same shape and dtype."""
        if images.ndim not in (3, 4) or images.shape[-3] != 3 or 0 in images.shape:
            raise ValueError(f"tensor has shape {tuple(images.shape)}: expected (3, H, W) or (B, 3, H, W)")
        batch = images if images.ndim == 4 else images[None]
        if images.dtype == torch.uint8:
            pixels = to_pixels(self._run(to_network(batch.permute(0, 2, 3, 1), self.device), direction))
            return torch.from_numpy(pixels).permute(0, 3, 1, 2).reshape(images.shape).contiguous().to(images.device)
        if not images.is_floating_point() or not bool((images.abs() <= 1).all()):
            raise ValueError(f"tensor is {images.dtype}: expected uint8 0…255, or float from −1 to 1")
        translated = self._run(batch.to(self.device, torch.float32), direction).clamp(-1, 1)
        translated = translated.clone(memory_format=torch.contiguous_format)  # no inference tensor
        return translated.reshape(images.shape).to(images.device, images.dtype)

    def _run(self, images: Tensor, direction: Direction) -> Tensor:
        """(B, 3, H, W) float −1…1 on the device => the same; padded on the way to a size that the network can halve."""
        height, width = images.shape[-2:]
        padded = _padded(images, self._multiple).contiguous(memory_format=torch.channels_last)
        translated = run_generator(self._generators[direction], padded, self.device, self.precision)
        return translated[..., :height, :width].float()


def _padded(images: Tensor, multiple: int) -> Tensor:
    """Continues images to the right and below up to the next multiple; by reflection where they are large enough."""
    height, width = images.shape[-2:]
    least = max(multiple, _LEAST_SIDE)
    below, right = (max(least, -(-side // multiple) * multiple) - side for side in (height, width))
    if not below and not right:
        return images
    mode = "reflect" if below < height and right < width else "replicate"
    return F.pad(images, (0, right, 0, below), mode=mode)
