from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monet.errors import InputError
from monet.scoring.images import open_images
from tests.conftest import fill_folder, picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill_folder(tmp_path / "images", 11, 0)


def zipped(folder: Path, path: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.iterdir(), reverse=True):
            archive.write(file, file.name)
    return path


def test_a_folder_and_an_archive_of_it_are_the_same_set(folder: Path, tmp_path: Path) -> None:
    sets = [open_images(folder), open_images(zipped(folder, tmp_path / "a.zip", zipfile.ZIP_DEFLATED))]
    assert sets[0].names == sets[1].names
    assert sets[0].digest() == sets[1].digest()
    one, two = (np.concatenate(list(images.batches(4, workers=2))) for images in sets)
    assert np.array_equal(one, two)
    assert one.shape == (11, 64, 64, 3)


def test_images_come_in_the_order_of_their_names_in_batches(folder: Path) -> None:
    images = open_images(folder)
    assert [len(batch) for batch in images.batches(4, workers=3)] == [4, 4, 3]
    first = np.asarray(picture(10), np.int64)  # 10.jpg comes before 2.jpg
    assert np.abs(next(images.batches(3, workers=1))[2] - first).mean() < 12


def test_another_content_or_order_has_another_digest(folder: Path) -> None:
    before = open_images(folder).digest()
    (folder / "0.jpg").rename(folder / "z.jpg")
    assert open_images(folder).digest() != before
    (folder / "z.jpg").rename(folder / "0.jpg")
    assert open_images(folder).digest() == before
    picture(99).save(folder / "3.jpg")
    assert open_images(folder).digest() != before


def test_what_cannot_be_scored_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder or archive .*nowhere"):
        open_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds 1 image: a score needs at least two"):
        open_images(fill_folder(tmp_path / "one", 1, 0))
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(InputError, match="text.zip is not a zip that can be read"):
        open_images(tmp_path / "text.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no files"):
        open_images(tmp_path / "empty")


def test_an_image_of_another_size_is_named(folder: Path) -> None:
    picture(5, (64, 32)).save(folder / "wide.jpg")
    message = r"different sizes: 0.jpg has 64×64 pixels, wide.jpg has 64×32"
    with pytest.raises(InputError, match=message):
        list(open_images(folder).batches(4, workers=2))


def test_a_damaged_image_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "5.jpg").write_bytes((folder / "5.jpg").read_bytes()[:300])
    for path in (folder, zipped(folder, tmp_path / "a.zip")):
        with pytest.raises(InputError, match=r"5.jpg in .* cannot be decoded: "):
            list(open_images(path).batches(4, workers=2))


def test_a_jpeg_that_only_a_lenient_decoder_reads_is_named(folder: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "5.jpg")
    data = (folder / "5.jpg").read_bytes()
    (folder / "5.jpg").write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    with Image.open(folder / "5.jpg") as image:
        image.load()
    for path in (folder, zipped(folder, tmp_path / "a.zip")):
        with pytest.raises(InputError, match=r"5.jpg in .* cannot be decoded: the image data are damaged"):
            list(open_images(path).batches(4, workers=2))


def test_too_many_pixels_are_not_decoded(folder: Path, tmp_path: Path) -> None:
    Image.new("1", (13_500, 6_500)).save(folder / "0.png")
    with pytest.raises(InputError, match=r"0.png in .* cannot be decoded: 13500×6500 pixels are too many"):
        list(open_images(folder).batches(4, workers=2))


def test_an_archive_that_must_not_be_unpacked_is_not_scored(folder: Path, tmp_path: Path) -> None:
    path = zipped(folder, tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a.zip cannot be scored: the member is encrypted"):
        open_images(path)
    with zipfile.ZipFile(zipped(folder, path), "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.jpg", bytes(20_000_000))
    with pytest.raises(InputError, match=r"bomb.jpg in .* cannot be scored: .* a zip bomb"):
        open_images(path)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(zipped(folder, path), "a") as archive:
        archive.writestr("0.jpg", b"another")
    with pytest.raises(InputError, match="holds several images of one name"):
        open_images(path)
