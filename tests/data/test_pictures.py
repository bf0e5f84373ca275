"""Pictures come back as they were: upright, in their colours, with their transparency."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from monet.data.decode import UnreadableImage
from monet.data.pictures import Picture, read_picture, write_picture
from tests.conftest import picture


def profile_of_swapped_primaries() -> bytes:
    """A real profile whose colours differ from sRGB's: that of Pillow's own sRGB with red and blue exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132], "big")
    places = {bytes(data[132 + 12 * n : 136 + 12 * n]): 136 + 12 * n for n in range(count)}
    red, blue = (bytes(data[places[name] : places[name] + 8]) for name in (b"rXYZ", b"bXYZ"))
    data[places[b"rXYZ"] : places[b"rXYZ"] + 8], data[places[b"bXYZ"] : places[b"bXYZ"] + 8] = blue, red
    text = places[b"desc"]
    start = int.from_bytes(data[text : text + 4], "big")
    end = start + int.from_bytes(data[text + 4 : text + 8], "big")
    data[start:end] = bytes(data[start:end]).replace(b"s\0R\0G\0B", b"x\0X\0X\0X")
    return bytes(data)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def test_a_plain_picture_is_read_as_it_is(tmp_path: Path) -> None:
    image = picture(1, (37, 21))
    found = read_picture(saved(image, tmp_path / "a.png"))
    assert np.array_equal(found.pixels, np.asarray(image))
    assert found.alpha is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_it_says_together_with_its_transparency(tmp_path: Path, orientation: int) -> None:
    image = picture(2, (30, 20)).convert("RGBA")
    image.putalpha(picture(3, (30, 20)).convert("L"))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_picture(saved(image, tmp_path / "a.png", exif=exif))
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
    assert found.alpha is not None
    assert np.array_equal(found.alpha, np.asarray(upright)[..., 3])
    assert found.pixels.shape[:2] == found.alpha.shape == ((30, 20) if orientation > 4 else (20, 30))


def test_colours_are_converted_by_the_embedded_profile(tmp_path: Path) -> None:
    flat = Image.new("RGB", (8, 8), (200, 40, 90))
    own = read_picture(saved(flat, tmp_path / "a.png", icc_profile=profile_of_swapped_primaries())).pixels[0, 0]
    assert abs(int(own[2]) - 200) < 12
    assert abs(int(own[0]) - 90) < 12
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert tuple(read_picture(saved(flat, tmp_path / "b.png", icc_profile=srgb)).pixels[0, 0]) == (200, 40, 90)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA", "LA", "P"])
@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 200, profile_of_swapped_primaries()[:300]])
def test_a_profile_that_cannot_be_used_changes_nothing(tmp_path: Path, mode: str, profile: bytes) -> None:
    image = picture(4, (16, 16)).convert(mode)
    plain = read_picture(saved(image, tmp_path / "a.tif"))
    found = read_picture(saved(image, tmp_path / "b.tif", icc_profile=profile))
    assert np.array_equal(found.pixels, plain.pixels)


def test_grey_16_bit_keeps_its_brightness(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    found = read_picture(saved(Image.fromarray(values), tmp_path / "a.png"))
    assert np.abs(found.pixels[..., 0] - values / 257).max() <= 1
    dark = Image.fromarray((values // 300).astype(np.uint16))
    assert read_picture(saved(dark, tmp_path / "b.png")).pixels.max() <= 1


def test_cmyk_is_the_colours_it_prints(tmp_path: Path) -> None:
    image = picture(6, (32, 32))
    found = read_picture(saved(image.convert("CMYK"), tmp_path / "a.jpg", quality=100))
    assert np.abs(found.pixels.astype(int) - np.asarray(image)).mean() < 3


def test_what_nobody_sees_is_white_and_stays_unseen(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = (10, 20, 30, 128)
    found = read_picture(saved(Image.fromarray(pixels), tmp_path / "a.png"))
    assert found.alpha is not None
    assert (found.pixels[:2] == (10, 20, 30)).all()
    assert (found.pixels[2:] == 255).all()
    assert (found.alpha == pixels[..., 3]).all()


def test_a_picture_that_is_opaque_everywhere_has_no_transparency(tmp_path: Path) -> None:
    assert read_picture(saved(picture(1).convert("RGBA"), tmp_path / "a.png")).alpha is None


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG", "BMP"])
def test_transparency_is_written_where_the_format_has_it_and_lies_on_white_elsewhere(kind) -> None:
    alpha = np.array([[0, 128], [255, 255]], np.uint8).repeat(8, 0).repeat(8, 1)
    given = Picture(np.full((16, 16, 3), 100, np.uint8), alpha)
    file = io.BytesIO()
    write_picture(file, given, kind, 100)
    found = Image.open(file)
    assert (found.format, found.size) == (kind, (16, 16))
    if kind in ("PNG", "WEBP", "TIFF"):
        assert np.array_equal(np.asarray(found)[..., 3], alpha)
    else:
        corners = [np.asarray(found)[y, x, 0] for y, x in ((2, 2), (2, 13), (13, 2))]
        assert np.abs(np.array(corners) - (255, 177, 100)).max() <= 3


def test_a_picture_too_large_for_its_format_is_told_by_its_size() -> None:
    with pytest.raises(UnreadableImage, match="16400×1 pixels, too large for WEBP"):
        write_picture(io.BytesIO(), Picture(np.zeros((1, 16400, 3), np.uint8)), "WEBP", 90)


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty file"), (b"hello", "not an image")])
def test_what_is_no_picture_says_why(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UnreadableImage, match=reason):
        read_picture(tmp_path / "a.jpg")


def test_a_truncated_picture_is_not_half_a_picture(tmp_path: Path) -> None:
    whole = saved(picture(5, (200, 200)), tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableImage, match="truncated"):
        read_picture(tmp_path / "b.jpg")
