"""Pictures as they come and as they are given back: orientation, colour profile, depth and transparency.

Training and painting want squares of 8-bit RGB (`decode.py`); whoever translates a picture of their own wants it back
as it was.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from monet.data.decode import UnreadableImage, has_alpha, is_deep, opened, reason_of, upright_rgb
from monet.data.pixels import Pixels

PictureFormat = Literal["JPEG", "PNG", "WEBP", "TIFF", "BMP"]
"""Formats in which pictures are written."""

SUFFIXES: dict[str, PictureFormat] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".bmp": "BMP",
}
"""The format of a file by its name's ending."""

_WITH_ALPHA = ("PNG", "WEBP", "TIFF")
_PROFILE_SPACES = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}
"""The colour space that a profile has to be of, for images of a mode."""


@dataclass(frozen=True)
class Picture:
    """A picture, upright."""

    pixels: Pixels
    """(H, W, 3): 8-bit sRGB. White where it is fully transparent."""
    alpha: NDArray[np.uint8] | None = None
    """(H, W): opacity, 0 to 255, where it has any transparency."""


def read_picture(file: Path | bytes) -> Picture:
    """Reads a picture, from a path or from a file's bytes.

    EXIF orientation is applied; colours are converted to sRGB by the embedded profile, and without one taken for sRGB;
    grey, palette, CMYK and 16-bit pictures become 8-bit RGB; of several pages or frames the first one is read.

    Raises:
        UnreadableImage: empty, not an image, truncated, damaged, or larger than `MAX_PIXELS`.
    """
    with opened(file) as image:
        try:
            return _picture(image)
        except Exception as error:  # Pillow's decoders raise nearly anything on damaged data
            raise UnreadableImage(reason_of(error)) from error


def write_picture(file: IO[bytes], picture: Picture, kind: PictureFormat, quality: int) -> None:
    """Writes a picture; on white where its format has no transparency.

    Args:
        file: open for writing.
        picture: the picture.
        kind: the format; none of them keeps more than the pixels and their opacity.
        quality: of JPEG and WebP, 1 to 100; JPEG keeps chroma whole (4:4:4).

    Raises:
        UnreadableImage: the format has no room for a picture of this size.
    """
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        opacity = Image.fromarray(picture.alpha)
        if kind in _WITH_ALPHA:
            image.putalpha(opacity)
        else:
            image = Image.composite(image, Image.new("RGB", image.size, "white"), opacity)
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": quality, "subsampling": "4:4:4"},
        "WEBP": {"quality": quality},
        "TIFF": {"compression": "tiff_lzw"},
    }
    try:
        image.save(file, kind, **options.get(kind, {}))
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the disk's, not the encoder's
            raise
        raise UnreadableImage(f"{image.width}×{image.height} pixels, too large for {kind}") from error


def _picture(image: Image.Image) -> Picture:
    if is_deep(image):
        return Picture(np.asarray(upright_rgb(image)))
    profile, upright, alpha = image.info.get("icc_profile"), ImageOps.exif_transpose(image), None
    if has_alpha(upright):
        with_alpha = upright.convert("RGBA")
        alpha = np.asarray(with_alpha.getchannel("A"))
        upright = with_alpha.convert("RGB")
    pixels = np.asarray(_in_srgb(upright, profile))
    if alpha is None or alpha.min() == np.iinfo(np.uint8).max:
        return Picture(pixels)
    return Picture(np.where(alpha[..., None] == 0, np.uint8(255), pixels), alpha)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Converts an image without transparency to RGB; by its profile, where that can be used."""
    if image.mode not in _PROFILE_SPACES:
        image = image.convert("RGB")
    if not profile:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        fits = source.profile.xcolor_space.strip() == _PROFILE_SPACES[image.mode]
        if not fits or ImageCms.getProfileDescription(source).startswith("sRGB"):
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a damaged profile: what the colours are, is unknown
        return image.convert("RGB")
    return converted or image.convert("RGB")
