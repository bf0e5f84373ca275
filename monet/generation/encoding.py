"""Pixels to JPEG files: with Pillow in threads, or on the accelerator where that is faster and loses no more."""

from __future__ import annotations

import io
import logging
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin
from torch import Tensor

from monet.archive import SIDE
from monet.clock import Clock

logger = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
BatchEncoder = Callable[[Tensor, int], list[bytes]]
"""(B, 3, H, W) uint8 0…255 on the device, and a quality from 1 to 100 => JPEG files."""

_SAMPLE = 64
"""Pictures with which encoders are compared."""


def encode(pixels: Pixels, quality: int) -> bytes:
    """Encodes one image with Pillow; chroma is kept whole (4:4:4).

    Args:
        pixels: shape (H, W, 3), uint8.
        quality: 1 to 100.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def nvjpeg(images: Tensor, quality: int) -> list[bytes]:
    """Encodes a batch on its CUDA device, through torchvision."""
    from torchvision.io import encode_jpeg  # deprecated there: once it is gone, Pillow goes on

    jpegs: Any = encode_jpeg(list(images), quality)
    return [jpeg.cpu().numpy().tobytes() for jpeg in jpegs]


def choose_encoder(device: torch.device, quality: int, workers: int, clock: Clock) -> BatchEncoder | None:
    """nvJPEG on a CUDA device where it serves better than Pillow with so many threads; None for Pillow."""
    if device.type != "cuda":
        return None
    return better_encoder(nvjpeg, _pictures().to(device), quality, workers, clock)


def better_encoder(
    encoder: BatchEncoder, images: Tensor, quality: int, workers: int, clock: Clock
) -> BatchEncoder | None:
    """The encoder, if it works here, keeps chroma whole, comes as close to the pixels as Pillow, and is faster.

    Args:
        encoder: a candidate.
        images: what is encoded for the comparison, (B, 3, H, W), uint8.
        quality: 1 to 100.
        workers: threads that Pillow may use.
        clock: tells the time.
    """

    def pillow(images: Tensor, quality: int) -> list[bytes]:
        pixels = images.permute(0, 2, 3, 1).cpu().numpy()
        return list(pool.map(lambda image: encode(image, quality), pixels))

    with ThreadPoolExecutor(workers) as pool:
        try:
            if problem := _problem(encoder(images, quality), pillow(images, quality), images):
                logger.info("paintings are encoded with Pillow: %s", problem)
                return None
            times: dict[BatchEncoder, list[float]] = {encoder: [], pillow: []}
            for _ in range(5):
                for one, took in times.items():
                    begun = clock()
                    one(images, quality)
                    took.append(clock() - begun)
        except (RuntimeError, OSError, ImportError) as error:  # a build without nvJPEG, or a driver that is too old
            logger.info("paintings are encoded with Pillow: %s", str(error).strip().splitlines()[0])
            return None
    theirs, mine = (statistics.median(times[one]) for one in (encoder, pillow))
    return encoder if theirs < mine else None


def _problem(theirs: list[bytes], mine: list[bytes], images: Tensor) -> str | None:
    """What keeps an encoder's files from being as good as Pillow's."""
    decoded = [Image.open(io.BytesIO(jpeg)) for jpeg in theirs]
    for image in decoded:
        if image.format != "JPEG" or image.mode != "RGB" or image.size != (images.shape[-1], images.shape[-2]):
            return f"the device's encoder writes {image.format} {image.mode} {image.size}"
        if JpegImagePlugin.get_sampling(image) != 0:
            return "the device's encoder halves the resolution of chroma"
    pixels = images.permute(0, 2, 3, 1).cpu().numpy().astype(np.int16)
    errors = [
        float(np.mean([np.abs(np.asarray(image, dtype=np.int16) - truth).mean() for image, truth in found]))
        for found in (
            zip(decoded, pixels, strict=True),
            zip((Image.open(io.BytesIO(jpeg)) for jpeg in mine), pixels, strict=True),
        )
    ]
    if errors[0] > errors[1] + 0.25:
        return f"the device's encoder is off by {errors[0]:.2f} grey levels, Pillow by {errors[1]:.2f}"
    return None


def _pictures() -> Tensor:
    """Smooth colours with some grain, as paintings have: (B, 3, 256, 256), uint8."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(_SAMPLE, 3, 16, 16, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, SIDE, mode="bicubic", align_corners=False)
    grain = 0.1 * torch.rand(_SAMPLE, 1, SIDE, SIDE, generator=generator)
    return ((smooth + grain).clamp(0, 1) * 255).round().to(torch.uint8)
