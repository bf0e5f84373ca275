"""From the bytes of any image file to 8-bit RGB, upright, checked."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from monet.files import irregular_kind
from monet.sizes import MAX_PIXELS, PROGRAMS

# Pillow warns from 89 million pixels on; here such a file is an error already.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class UnreadableImage(Exception):
    """An image that cannot be used; the message is the reason alone, without the file's name."""


Fit = Callable[[Image.Image], Image.Image]
"""Brings an upright RGB image to the size in which it is wanted."""


def decode(file: Path | bytes, fit: int | Fit | None = None) -> NDArray[np.uint8]:
    """Reads an image as RGB.

    EXIF orientation is applied; grey, palette, CMYK and 16-bit images are converted; transparency is laid on white.

    Args:
        file: a path, or a file's bytes.
        fit: where given, how the image is resized; a number is `centre_square` with that side.

    Returns:
        Array of shape (H, W, 3), uint8, 0 to 255.

    Raises:
        UnreadableImage: empty, not an image, truncated, damaged, or larger than `MAX_PIXELS`.
    """
    with opened(file) as image:
        try:
            image = upright_rgb(image)
            if fit is not None:
                image = centre_square(image, fit) if isinstance(fit, int) else fit(image)
            return np.asarray(image)
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
            raise UnreadableImage(reason_of(error)) from error


def read_size(file: Path | bytes) -> tuple[int, int]:
    """Returns width and height as stored, from the header alone.

    Raises:
        UnreadableImage: empty, not an image, or larger than `MAX_PIXELS`.
    """
    with opened(file) as image:
        return image.width, image.height


def upright_rgb(image: Image.Image) -> Image.Image:
    """Converts a Pillow image as it was opened to 8-bit RGB, turned as its EXIF orientation says."""
    return to_rgb(ImageOps.exif_transpose(image), white_level(image))


def white_level(image: Image.Image) -> float | None:
    """Returns the value of white in an image of 16 bits, as it was opened; None for others."""
    deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    return 65535.0 if deep else None


def is_deep(image: Image.Image) -> bool:
    """Returns whether an image has more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def has_alpha(image: Image.Image) -> bool:
    """Returns whether an image has transparency, of whatever kind."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def to_rgb(image: Image.Image, white_level: float | None = None) -> Image.Image:
    """Converts any Pillow mode to 8-bit RGB; transparency is laid on white, deeper values are scaled.

    Args:
        image: of any mode.
        white_level: the value of white in an image of more than 8 bits; guessed from the values where it is None.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if is_deep(image):
        return Image.fromarray(_to_8_bit(np.asarray(image, dtype=np.float64), white_level)).convert("RGB")
    if has_alpha(image):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _to_8_bit(values: NDArray[np.float64], white_level: float | None) -> NDArray[np.uint8]:
    """Returns grey values of an unknown depth: up to 1 they are shares, up to 255 they are 8-bit, above that 16-bit."""
    largest = values.max(initial=0.0)
    white = white_level or (1.0 if largest <= 1.0 else 255.0 if largest <= 255.0 else 65535.0)
    return np.clip(np.rint(values * (255.0 / white)), 0, 255).astype(np.uint8)


def centre_square(image: Image.Image, side: int) -> Image.Image:
    """Resizes an image (bicubic, antialiased) so that its shorter side has this many pixels; keeps the centre."""
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    return _resized(image, side, side, (left, top, left + short, top + short))


def shorter_side(image: Image.Image, most: int) -> Image.Image:
    """Shrinks an image (bicubic, antialiased) so that its shorter side has at most so many pixels; keeps its ratio."""
    width, height = shrunk_size(image.size, most)
    return _resized(image, height, width, (0, 0, *image.size))


def shrunk_size(size: tuple[int, int], most: int) -> tuple[int, int]:
    """Returns a size whose shorter side is at most `most`, in the ratio of another, whichever of its sides is first."""
    scale = min(1.0, most / min(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def exact_size(image: Image.Image, height: int, width: int) -> Image.Image:
    """Resizes an image (bicubic, antialiased) to this size, whatever its ratio."""
    return _resized(image, height, width, (0, 0, *image.size))


def _resized(image: Image.Image, height: int, width: int, box: tuple[float, float, float, float]) -> Image.Image:
    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)


def opened(file: Path | bytes) -> Image.Image:
    """Opens an image, and reads its header.

    Raises:
        UnreadableImage: as `read_size`.
    """
    if isinstance(file, Path) and (kind := irregular_kind(file)):
        raise UnreadableImage(kind)
    try:
        image = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file)
    except Image.DecompressionBombError:
        raise UnreadableImage(f"more than {MAX_PIXELS // 1_000_000} million pixels") from None
    except UnidentifiedImageError:
        size = len(file) if isinstance(file, bytes) else file.stat().st_size
        raise UnreadableImage("empty file" if size == 0 else "not an image") from None
    except Exception as error:  # damaged headers make Pillow raise nearly anything
        raise UnreadableImage(reason_of(error)) from error
    if image.format in PROGRAMS:
        image.close()
        raise UnreadableImage(f"a program in {image.format}, no image")
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise UnreadableImage(f"{image.width}×{image.height} pixels, more than {MAX_PIXELS // 1_000_000} million")
    return image


def reason_of(error: Exception) -> str:
    """Returns why an image cannot be used, from what Pillow raised, in a few words."""
    if "truncated" in str(error).lower():
        return "truncated"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"damaged ({error or type(error).__name__})"
