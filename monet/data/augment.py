"""Resize, crop, flip, rotation and colour jitter on the device, each image by its own random numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from kornia.enhance import (
    adjust_brightness,
    adjust_contrast_with_mean_subtraction,
    adjust_hue,
    adjust_saturation_with_gray_subtraction,
)
from kornia.geometry.transform import warp_affine
from numpy.typing import NDArray
from torch import Tensor

from monet.config import DataConfig
from monet.data.stream import Purpose, uniforms

_DRAWS = 8
"""Random numbers an image: left, top, flip, angle, brightness, contrast, saturation, hue."""


class Augmentation:
    """Makes training images of stored ones.

    Resize to `load_size`, rotation, flip and crop are one affine map, sampled once (bicubic), so that nothing is
    blurred twice; where no resize and no rotation is asked for, pixels are copied as they are.

    Args:
        config: sizes and strengths.
        seed: together with a pair's index, the source of its random numbers.
    """

    def __init__(self, config: DataConfig, seed: int) -> None:
        self._config = config
        self._seed = seed

    def __call__(self, images: Tensor | Sequence[Tensor], pairs: Sequence[int], purpose: Purpose) -> Tensor:
        """Augments a batch.

        Args:
            images: shape (B, 3, H, W), or B images of shape (3, H, W) each, uint8, 0 to 255, on any device.
            pairs: the pair that each image belongs to.
            purpose: `AUGMENT_A` or `AUGMENT_B`; the same for both domains crops them alike.

        Returns:
            Shape (B, 3, H, W) with the crop's height and width, float32, −1 to 1, on the same device.
        """
        if not isinstance(images, Tensor):
            return torch.cat([self(image[None], [pair], purpose) for image, pair in zip(images, pairs, strict=True)])
        draws = np.stack([uniforms(self._seed, purpose, pair, _DRAWS) for pair in pairs])
        maps = _to_device(self.affine_maps(draws, (images.shape[-2], images.shape[-1])), images.device)
        values, crop = images.float() / 255, self._config.crop
        values = warp_affine(values, maps, crop, mode="bicubic", padding_mode="reflection", align_corners=True)
        values = values.clamp(0, 1)
        if self._config.color_jitter > 0:
            values = self._jitter(values, _to_device(draws[:, 4:8], images.device))
        return values * 2 - 1

    def affine_maps(self, draws: NDArray[np.float64], stored: tuple[int, int]) -> NDArray[np.float64]:
        """Returns the map from stored pixels to training pixels.

        Args:
            draws: shape (B, 8), uniform in [0, 1).
            stored: height and width of the stored images.

        Returns:
            Shape (B, 2, 3): the pixel centre (x, y) of a stored image goes to `M @ (x, y, 1)` of the crop.
        """
        # Sizes as (width, height), in the order of x and y.
        size, load, crop = (np.array(each[::-1]) for each in (stored, self.loaded_size(stored), self._config.crop))
        corner = np.floor(draws[:, :2] * (load - crop + 1))
        flip = np.where((draws[:, 2] < 0.5) & self._config.flip, -1.0, 1.0)
        angle = np.deg2rad(self._config.rotate) * (2 * draws[:, 3] - 1)
        cos, sin = np.cos(angle), np.sin(angle)
        # Pixel (x, y) => centre of the image => scaled, turned, mirrored => back, less the crop's corner.
        turned = np.stack([np.stack([flip * cos, -flip * sin], -1), np.stack([sin, cos], -1)], -2)
        linear = turned * (load / size)
        shift = (load - 1) / 2 - corner - linear @ ((size - 1) / 2)
        return np.concatenate([linear, shift[:, :, None]], -1)

    def loaded_size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Returns the height and width to which a stored image of this height and width is brought before the crop."""
        config = self._config
        if config.resize != "shorter":
            return config.load
        (height, width), (crop_height, crop_width) = stored, config.crop
        scale = max(config.load[0] / min(stored), crop_height / height, crop_width / width)
        return max(crop_height, round(height * scale)), max(crop_width, round(width * scale))

    def _jitter(self, values: Tensor, draws: Tensor) -> Tensor:
        """Brightness, contrast, saturation and hue, in that order. `values` in 0…1; `draws` of shape (B, 4) in 0…1."""
        strength = self._config.color_jitter
        factors = 1 + strength * (2 * draws - 1)
        values = adjust_brightness(values, factors[:, 0] - 1)
        values = adjust_contrast_with_mean_subtraction(values, factors[:, 1]).clamp(0, 1)
        values = adjust_saturation_with_gray_subtraction(values, factors[:, 2]).clamp(0, 1)
        return adjust_hue(values, (factors[:, 3] - 1) / 4 * 2 * torch.pi).clamp(0, 1)


def _to_device(values: NDArray[np.float64], device: torch.device) -> Tensor:
    """float64 on the host => float32 on the device, without waiting for it."""
    tensor = torch.from_numpy(values).float()
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
