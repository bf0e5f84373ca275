"""Images as 8-bit pixels: to and from what networks see, and as JPEG files."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Pixels = NDArray[np.uint8]
"""RGB, 0 to 255, shape (H, W, 3) or (B, H, W, 3)."""


HALF_RANGE = 127.5
"""Of 8-bit values, which are −1…1 in the networks."""


def to_floats(images: Tensor) -> Tensor:
    """uint8 0…255 => float32 −1…1, in any shape."""
    return images.float().div_(HALF_RANGE).sub_(1)


def to_bytes(images: Tensor) -> Tensor:
    """float −1…1 => uint8 0…255, rounded, in any shape."""
    return images.float().add(1).mul_(HALF_RANGE).round_().clamp_(0, 255).to(torch.uint8)


def to_network(pixels: Tensor, device: torch.device) -> Tensor:
    """(B, H, W, 3) uint8 0…255 => (B, 3, H, W) float32 −1…1 on the device, channels last."""
    return to_floats(pixels.to(device).permute(0, 3, 1, 2))


def to_pixels(images: Tensor) -> Pixels:
    """(B, 3, H, W) float −1…1 on any device => (B, H, W, 3) uint8 0…255 on the CPU, rounded."""
    return to_bytes(images).permute(0, 2, 3, 1).cpu().numpy()


def to_jpeg(pixels: Pixels, quality: int, subsampling: Literal["4:4:4", "4:2:0"] = "4:2:0") -> bytes:
    """Returns a JPEG file.

    Args:
        pixels: one image, (H, W, 3).
        quality: 1 to 100.
        subsampling: of the chroma; 4:4:4 keeps it whole.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()
