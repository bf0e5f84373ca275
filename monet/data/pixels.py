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


def to_network(pixels: Tensor, device: torch.device) -> Tensor:
    """(B, H, W, 3) uint8 0…255 => (B, 3, H, W) float32 −1…1 on the device, channels last."""
    return pixels.to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_pixels(images: Tensor) -> Pixels:
    """(B, 3, H, W) float −1…1 on any device => (B, H, W, 3) uint8 0…255 on the CPU, rounded."""
    scaled = images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).cpu().numpy()


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
