from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from monet.data.decode import UnreadableImage, decode, read_size
from tests.conftest import picture


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def solid(mode: str, color: object, size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new(mode, size, color)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (solid("RGB", (10, 20, 30)), "PNG", (10, 20, 30)),
        (solid("L", 77), "PNG", (77, 77, 77)),
        (solid("1", 1), "PNG", (255, 255, 255)),
        (solid("RGB", (204, 51, 0)).convert("P", dither=Image.Dither.NONE), "PNG", (204, 51, 0)),
        (solid("RGBA", (10, 20, 30, 255)), "PNG", (10, 20, 30)),
        (solid("RGBA", (10, 20, 30, 0)), "PNG", (255, 255, 255)),
        (solid("LA", (0, 127)), "PNG", (128, 128, 128)),
        (solid("CMYK", (0, 255, 255, 0)), "JPEG", (255, 0, 0)),
        (Image.fromarray(np.full((8, 8), 65535 // 2, np.uint16)), "PNG", (127, 127, 127)),
        (Image.fromarray(np.full((8, 8), 0.5, np.float32)), "TIFF", (128, 128, 128)),
        (Image.fromarray(np.full((8, 8), 40_000, np.int32)), "TIFF", (156, 156, 156)),
    ],
    ids=["RGB", "grey", "1-bit", "palette", "RGBA", "transparent", "LA", "CMYK", "16-bit", "float", "32-bit"],
)
def test_every_kind_of_image_becomes_8_bit_rgb(image: Image.Image, kind: str, expected: tuple[int, int, int]) -> None:
    pixels = decode(encoded(image, kind))
    assert pixels.shape == (8, 8, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[4, 4].astype(int) - expected).max() <= 2


def test_a_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    image = solid("P", 0)
    image.putpalette([200, 10, 10, 0, 0, 255])
    assert decode(encoded(image)).tolist() == [[[200, 10, 10]] * 8] * 8
    assert decode(encoded(image, transparency=0)).min() == 255


def test_16_bit_depth_keeps_the_order_of_greys() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(2, 0)
    pixels = decode(encoded(Image.fromarray(ramp)))
    assert np.array_equal(pixels[0, :, 0], np.arange(256))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = picture(3, (40, 24))
    turns = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turn = turns[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode(encoded(stored, exif=exif)), np.asarray(upright))


@pytest.mark.parametrize("size", [(100, 60), (60, 100), (32, 32), (20, 31), (1, 500)])
def test_any_size_becomes_a_centre_square(size: tuple[int, int]) -> None:
    assert decode(encoded(picture(0, size)), 32).shape == (32, 32, 3)


def test_the_square_is_the_centre_at_the_shorter_side() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    assert decode(encoded(Image.fromarray(wide)), 20).min() == 255


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    small = decode(encoded(Image.fromarray(stripes)), 32)
    assert np.abs(small.astype(int) - 127).max() < 8  # without it: black or white


def test_an_image_of_the_right_size_is_not_touched() -> None:
    image = picture(1, (64, 64))
    assert np.array_equal(decode(encoded(image), 64), np.asarray(image))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello, I am a text", "not an image"),
        (encoded(picture(0, (64, 64)), "JPEG")[:-200], "truncated"),
        (encoded(picture(0, (64, 64)), "PNG")[:200], "truncated"),
        (encoded(picture(0), "PNG")[:40], "truncated|damaged|not an image"),
        (encoded(picture(0), "GIF")[:30], "truncated|damaged|not an image"),
    ],
)
def test_what_cannot_be_used_has_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(UnreadableImage, match=reason):
        decode(tmp_path / "x.jpg")


def test_random_damage_never_raises_anything_else() -> None:
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"):
        whole = encoded(picture(0), kind)
        for _ in range(60):
            data = bytearray(whole)
            for position in rng.integers(0, len(data), 8):
                data[position] = rng.integers(256)
            try:
                decode(bytes(data))
            except UnreadableImage as error:
                assert str(error)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be enormous."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_refused_before_they_are_decoded(side: int) -> None:
    with pytest.raises(UnreadableImage, match="more than 80 million"):
        decode(bomb(side, side))
    with pytest.raises(UnreadableImage, match="more than 80 million"):
        read_size(bomb(side, side))


def test_a_decompression_bomb_is_refused_without_a_warning_beside_it() -> None:
    attempt = f"try: decode({bomb(12_000, 12_000)!r})\nexcept UnreadableImage: print('refused')"
    script = f"from monet.data.decode import *\n{attempt}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_missing_and_forbidden_files_have_a_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="no such file"):
        decode(tmp_path / "nothing.jpg")
    with pytest.raises(UnreadableImage, match="a folder"):
        decode(tmp_path)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_postscript_program_is_no_image_and_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_bytes: bool
) -> None:
    ran: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *given: ran.append(given))
    path = tmp_path / "holiday.jpg"
    picture(1).save(path, "EPS")
    for read in (decode, read_size):
        with pytest.raises(UnreadableImage, match="a program in EPS, no image"):
            read(path.read_bytes() if as_bytes else path)
    assert not ran


def test_the_size_comes_from_the_header_alone() -> None:
    assert read_size(encoded(picture(0, (50, 30)), "JPEG")[:800]) == (50, 30)


def test_a_dark_16_bit_image_stays_dark() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 257, np.uint16)).save(buffer, "PNG")
    assert decode(buffer.getvalue()).tolist() == [[[1, 1, 1]] * 8] * 8
