from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monet.data.decode import decode
from monet.data.store import BadImage, load_images, summary_of_bad
from tests.conftest import fill_folder, picture


def test_images_lie_in_one_uint8_tensor_in_the_order_of_their_paths(tmp_path: Path) -> None:
    paths = sorted(fill_folder(tmp_path / "a", 5, 0, (32, 32)).iterdir())
    store = load_images(paths, 32)
    assert store.images.shape == (5, 3, 32, 32)
    assert store.images.dtype == torch.uint8
    for image, path in zip(store.images, paths, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), decode(path))
    assert store.paths == tuple(paths)
    assert len(store) == 5


def test_images_above_the_load_size_are_shrunk_to_it(tmp_path: Path) -> None:
    paths = sorted(fill_folder(tmp_path / "a", 2, 0, (90, 64)).iterdir())
    assert load_images(paths, 40).images.shape[-2:] == (40, 40)


def test_images_below_the_load_size_are_stored_as_they_are(tmp_path: Path) -> None:
    paths = sorted(fill_folder(tmp_path / "a", 2, 0, (64, 64)).iterdir())
    assert load_images(paths, 286).images.shape[-2:] == (64, 64)


def test_the_largest_image_sets_the_stored_side(tmp_path: Path) -> None:
    small = sorted(fill_folder(tmp_path / "a", 2, 0, (20, 30)).iterdir())
    large = sorted(fill_folder(tmp_path / "b", 1, 5, (70, 50)).iterdir())
    assert load_images(small + large, 286).images.shape == (3, 3, 50, 50)


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
    mapped, plain = load_images(paths, 32, memory_limit=1000), load_images(paths, 32)
    assert torch.equal(mapped.images, plain.images)
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
    store = load_images([tmp_path / "big.jpg"], 64)
    assert store.images.shape == (1, 3, 64, 64)
    assert (store.images.float().mean((0, 2, 3)) - torch.tensor([9.0, 99.0, 199.0])).abs().max() < 3
