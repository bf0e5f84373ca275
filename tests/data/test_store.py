from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monet.config import DataConfig
from monet.data.decode import decode
from monet.data.store import BadImage, load_images, summary_of_bad
from tests.conftest import fill_folder, picture


def squares(paths: Sequence[Path], side: int, memory_limit: int | None = None) -> torch.Tensor:
    """The images of a store of one size."""
    images = load_images(paths, side, memory_limit=memory_limit).images
    assert isinstance(images, torch.Tensor)
    return images


def test_images_lie_in_one_uint8_tensor_in_the_order_of_their_paths(tmp_path: Path) -> None:
    paths = sorted(fill_folder(tmp_path / "a", 5, 0, (32, 32)).iterdir())
    store = load_images(paths, 32)
    assert squares(paths, 32).shape == (5, 3, 32, 32)
    assert squares(paths, 32).dtype == torch.uint8
    for image, path in zip(store.images, paths, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), decode(path))
    assert store.paths == tuple(paths)
    assert len(store) == 5


def test_images_above_the_load_size_are_shrunk_to_it(tmp_path: Path) -> None:
    paths = sorted(fill_folder(tmp_path / "a", 2, 0, (90, 64)).iterdir())
    assert squares(paths, 40).shape[-2:] == (40, 40)


def test_images_below_the_load_size_are_stored_as_they_are(tmp_path: Path) -> None:
    paths = sorted(fill_folder(tmp_path / "a", 2, 0, (64, 64)).iterdir())
    assert squares(paths, 286).shape[-2:] == (64, 64)


def test_the_largest_image_sets_the_stored_side(tmp_path: Path) -> None:
    small = sorted(fill_folder(tmp_path / "a", 2, 0, (20, 30)).iterdir())
    large = sorted(fill_folder(tmp_path / "b", 1, 5, (70, 50)).iterdir())
    assert squares(small + large, 286).shape == (3, 3, 50, 50)


@pytest.fixture
def mixed(tmp_path: Path) -> list[Path]:
    folder = fill_folder(tmp_path / "mixed", 4, 0, (32, 32))
    whole = (folder / "1.jpg").read_bytes()
    (folder / "0a-truncated.jpg").write_bytes(whole[:-300])
    (folder / "1a-empty.jpg").write_bytes(b"")
    (folder / "2a-text.jpg").write_text("hello")
    picture(7, (32, 32)).convert("CMYK").save(folder / "3a-cmyk.jpg")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("limit", [None, 100])
def test_files_that_cannot_be_used_are_left_out_and_named(mixed: list[Path], limit: int | None) -> None:
    store = load_images(mixed, 32, memory_limit=limit)
    assert [path.name for path in store.paths] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "3a-cmyk.jpg"]
    assert [(bad.path.name, bad.reason) for bad in store.bad] == [
        ("0a-truncated.jpg", "truncated"),
        ("1a-empty.jpg", "empty file"),
        ("2a-text.jpg", "not an image"),
    ]
    for image, path in zip(store.images, store.paths, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), decode(path))


def test_a_domain_larger_than_the_limit_goes_to_a_nameless_file(tmp_path: Path) -> None:
    paths = sorted(fill_folder(tmp_path / "a", 6, 0, (32, 32)).iterdir())
    mapped, plain = squares(paths, 32, memory_limit=1000), squares(paths, 32)
    assert torch.equal(mapped, plain)
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert any(tempfile.gettempdir() in line and "(deleted)" in line for line in maps.read_text().splitlines())


def test_a_domain_without_any_usable_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_text("no")
    store = load_images([tmp_path / "x.jpg"], 32)
    assert len(store) == 0
    assert len(store.bad) == 1


def test_progress_is_told_for_every_file(tmp_path: Path) -> None:
    paths = sorted(fill_folder(tmp_path / "a", 5, 0, (16, 16)).iterdir())
    seen: list[int] = []
    load_images(paths, 16, on_image=lambda: seen.append(1))
    assert len(seen) == 5


def test_the_summary_names_a_few_and_counts_the_rest() -> None:
    bad = [BadImage(Path(f"{index}.jpg"), "truncated") for index in range(5)]
    assert summary_of_bad(bad, most=2) == "0.jpg (truncated), 1.jpg (truncated) and 3 more"


def test_an_image_of_many_megapixels_is_stored_small(tmp_path: Path) -> None:
    Image.new("RGB", (4000, 3000), (9, 99, 199)).save(tmp_path / "big.jpg")
    images = squares([tmp_path / "big.jpg"], 64)
    assert images.shape == (1, 3, 64, 64)
    assert (images.float().mean((0, 2, 3)) - torch.tensor([9.0, 99.0, 199.0])).abs().max() < 3


@pytest.mark.parametrize("limit", [None, 100])
def test_whole_images_keep_their_ratios_and_lie_as_they_are_to_be_seen(tmp_path: Path, limit: int | None) -> None:
    wide, high, small, lying = picture(1, (90, 60)), picture(2, (60, 120)), picture(3, (20, 30)), picture(4, (50, 80))
    for name, image in {"a": wide, "b": high, "d": small}.items():
        image.save(tmp_path / f"{name}.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90° to the right
    lying.save(tmp_path / "e.png", exif=exif)
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes()[:-200])
    config = DataConfig(resize="shorter", load_size=40, crop_size=32)
    store = load_images(sorted(tmp_path.iterdir()), config, memory_limit=limit)
    assert [tuple(image.shape) for image in store.images] == [(3, 40, 60), (3, 80, 40), (3, 30, 20), (3, 40, 64)]
    assert [bad.path.name for bad in store.bad] == ["c.png"]
    assert np.array_equal(store.images[2].permute(1, 2, 0), np.asarray(small))
    upright = np.asarray(lying.transpose(Image.Transpose.ROTATE_270).resize((64, 40), Image.Resampling.BICUBIC))
    assert np.array_equal(store.images[3].permute(1, 2, 0), upright)


def test_images_of_an_exact_size_have_all_of_the_image(tmp_path: Path) -> None:
    paths = sorted(fill_folder(tmp_path / "a", 2, 0, (90, 64)).iterdir())
    store = load_images(paths, DataConfig(resize="exact", load_size=(32, 40), crop_size=32))
    assert [tuple(image.shape) for image in store.images] == [(3, 32, 40)] * 2
    whole = np.asarray(Image.open(paths[1]).resize((40, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(store.images[1].permute(1, 2, 0), whole)
