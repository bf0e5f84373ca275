from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from monet import jpeg
from monet.jpeg import damage
from tests.conftest import REAL_DATA, needs_real_data, picture

END = b"\xff\xd9"


def detailed(size: tuple[int, int] = (256, 256)) -> Image.Image:
    """A picture whose image data are a good part of its file."""
    noise = np.random.default_rng(1).normal(0, 12, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.asarray(picture(3, size)) + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or detailed()).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def without_table(data: bytes) -> bytes:
    """The file without its first Huffman table."""
    start = data.index(b"\xff\xc4")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]


def with_thumbnail() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = encoded(picture(0))[:400].decode("latin-1")  # a whole file's markers, where they mean nothing
    return exif


ENCODERS: dict[str, dict[str, Any]] = {
    **{f"quality {quality}": {"quality": quality} for quality in (1, 50, 95, 100)},
    **{f"subsampling {kind}": {"subsampling": kind} for kind in ("4:4:4", "4:2:2", "4:2:0")},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "progressive and optimized": {"progressive": True, "optimize": True, "quality": 90},
    "restarts": {"restart_marker_blocks": 3},
    "progressive restarts": {"restart_marker_rows": 1, "progressive": True},
    "exif": {"exif": with_thumbnail()},
    "profile": {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() * 30},
    "comment": {"comment": b"\xff\xda\x00\x02\xff\xc4" * 100},
    "rgb": {"keep_rgb": True},
    "tables": {"qtables": "web_low"},
}


@pytest.mark.parametrize("options", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("size", [(256, 256), (61, 35), (1, 1)], ids=str)
def test_whole_files_of_every_encoder_are_whole(options: dict[str, Any], size: tuple[int, int]) -> None:
    assert damage(encoded(detailed(size), **options)) is None


def test_grey_and_cmyk_files_are_whole() -> None:
    for mode in ("L", "CMYK"):
        assert damage(encoded(detailed().convert(mode))) is None
        assert damage(encoded(detailed().convert(mode), progressive=True)) is None


def test_what_follows_the_end_is_no_damage() -> None:
    assert damage(encoded() + b"anything") is None


@needs_real_data
def test_the_competitions_paintings_are_whole() -> None:
    for path in (REAL_DATA / "monet_jpg").iterdir():
        assert damage(path.read_bytes()) is None, path.name


FILES = ["quality 95", "optimized", "progressive", "restarts", "subsampling 4:4:4", "rgb"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_file_that_was_cut_and_given_an_end_is_damaged(name: str, share: float) -> None:
    data = encoded(**ENCODERS[name])
    header = data.index(b"\xff\xda")
    cut = data[: header + int((len(data) - header) * share)] + END
    with Image.open(io.BytesIO(cut)) as image:
        image.load()  # Pillow sees nothing
    assert damage(cut) == "the image data are damaged"


@pytest.mark.parametrize("filling", [b"\x00", b"\xaa", b"\x55"], ids=["zeros", "aa", "55"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_whose_tail_was_overwritten_is_damaged(name: str, filling: bytes) -> None:
    data = encoded(**ENCODERS[name])
    start = int(len(data) * 0.6)
    assert damage(data[:start] + filling * (len(data) - start - 2) + END) is not None


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_one_of_its_huffman_tables_is_damaged(name: str) -> None:
    assert damage(without_table(encoded(**ENCODERS[name]))) == "a Huffman table is missing"


@pytest.mark.parametrize("name", FILES)
def test_surplus_data_and_a_missing_end_are_damage(name: str) -> None:
    data = encoded(**ENCODERS[name])
    assert damage(data[:-2] + b"abcdefgh" + END) is not None
    assert damage(data[:-2]) is not None


@pytest.mark.parametrize("length", [0, 1, 2, 5, 100, 300, 620])
def test_a_file_cut_in_its_headers_is_damaged(length: int) -> None:
    assert damage(encoded()[:length]) is not None
    assert damage(encoded()[:length] + END) is not None


def test_any_bytes_get_an_answer() -> None:
    random = np.random.default_rng(0)
    data = encoded(picture(0))
    for _ in range(300):
        changed = bytearray(data)
        for position in random.integers(2, len(data), 3):
            changed[position] = random.integers(256)
        damage(bytes(changed))
        damage(jpeg.START + random.bytes(200))


def test_without_the_strict_decoder_tables_are_still_looked_for_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "kornia_rs", None)
    jpeg._strict_decoder.cache_clear()
    try:
        assert damage(encoded()) is None
        assert damage(without_table(encoded())) == "a Huffman table is missing"
        assert damage(encoded()[:5000] + END) is None
    finally:
        jpeg._strict_decoder.cache_clear()
    assert caplog.text.count("kornia-rs is not installed") == 1
