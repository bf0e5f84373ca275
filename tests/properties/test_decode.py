"""Decoding: whatever bytes come, there is an array or an `UnreadableImage`."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import numpy as np
import PIL
import pytest

from monet.data.decode import UnreadableImage, decode, read_size
from monet.data.pictures import read_picture
from monet.sizes import MAX_PIXELS
from tests.campaign.harms import HARMS
from tests.conftest import picture
from tests.properties import EXAMPLES, holds

pytest.importorskip("hypothesis")
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

FORMATS = (
    "JPEG",
    "PNG",
    "GIF",
    "TIFF",
    "WEBP",
    "BMP",
    "PPM",
    "TGA",
    "ICO",
    "JPEG2000",
    "PCX",
    "DDS",
    "SGI",
    "QOI",
    "MPO",
)
STARTS = (
    b"",
    b"\xff\xd8\xff\xe0\x00\x10JFIF",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"II*\x00",
    b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    b"BM",
)
CORPUS = "PILLOW_IMAGES"
"""The environment variable that names Pillow's own images: the folder `Tests/images` of its sources."""


def whole(kind: str) -> bytes:
    file = io.BytesIO()
    picture(3, (48, 32)).save(file, kind)
    return file.getvalue()


WHOLE = [whole(kind) for kind in FORMATS]


def array_or_unreadable(data: bytes, fit: int | None = None) -> bool:
    """Checks what comes of bytes; returns whether they were an image."""
    try:
        found = decode(data, fit)
    except UnreadableImage as error:
        assert str(error)
        assert len(str(error).splitlines()) == 1
        return False
    assert found.dtype == np.uint8
    assert found.ndim == 3
    assert found.shape[2] == 3
    assert 0 < found.shape[0] * found.shape[1] <= MAX_PIXELS
    assert fit is None or found.shape == (fit, fit, 3)
    assert read_size(data)[0] in found.shape or fit is not None
    return True


def test_whole_images_of_all_formats_are_read() -> None:
    assert all(array_or_unreadable(data) and array_or_unreadable(data, 16) for data in WHOLE)


@EXAMPLES
def test_any_bytes_are_an_array_or_unreadable(examples: int) -> None:
    data = st.tuples(st.sampled_from(STARTS), st.binary(max_size=400)).map(b"".join)
    holds(array_or_unreadable, data, examples=4 * examples)


@EXAMPLES
def test_damaged_images_are_an_array_or_unreadable(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "x"

    def check(data: bytes, harms: list[str], seed: int, fit: int | None) -> None:
        chance = random.Random(seed)
        for name in harms:
            if data:
                data = HARMS[name](data, chance)
        array_or_unreadable(data, fit)
        path.write_bytes(data)
        try:
            assert read_picture(path).pixels.shape[2] == 3
        except UnreadableImage as error:
            assert len(str(error).splitlines()) == 1

    harms = st.lists(st.sampled_from(sorted(HARMS)), min_size=1, max_size=3)
    sides = st.sampled_from([None, 16])
    holds(check, st.sampled_from(WHOLE), harms, st.integers(0, 2**32), sides, examples=8 * examples)


def _pillows_own() -> Path | None:
    """Returns the folder of Pillow's own test images, which its wheels do not bring."""
    named = os.environ.get(CORPUS)
    places = [Path(named)] if named else [Path(PIL.__file__).parents[1] / "Tests" / "images", Path("/usr/share/pillow")]
    return next((place for place in places if place.is_dir()), None)


def test_pillows_own_images_broken_ones_among_them_are_an_array_or_unreadable() -> None:
    folder = _pillows_own()
    if folder is None:
        pytest.skip(f"Pillow's wheel brings no images: name the folder Tests/images of its sources in {CORPUS}")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = [array_or_unreadable(path.read_bytes(), 16) for path in files]
    assert any(found)
    assert not all(found)
