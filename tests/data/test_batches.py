from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monet.config import DataConfig
from monet.data.batches import PairSource
from monet.data.layout import list_images
from monet.data.store import ImageStore, load_images
from monet.errors import InputError
from tests.conftest import fill_folder

CPU = torch.device("cpu")


def store(folder: Path) -> ImageStore:
    return load_images(list_images(folder), 40)


def source(photos: ImageStore, paintings: ImageStore, **options: object) -> PairSource:
    config = DataConfig(load_size=40, crop_size=32, samples_per_epoch=4, **options)  # type: ignore[arg-type]
    return PairSource(photos, paintings, config, seed=0, device=CPU)


def test_batches_of_any_size_see_the_same_pairs(tiny_data: Path) -> None:
    photos, paintings = store(tiny_data / "trainA"), store(tiny_data / "trainB")
    one_by_one = [source(photos, paintings).batch([pair]) for pair in range(6)]
    together = source(photos, paintings).batch(range(6))
    for domain in (0, 1):
        assert torch.allclose(torch.cat([pair[domain] for pair in one_by_one]), together[domain], atol=1e-6)


def test_the_two_domains_are_cropped_independently(tmp_path: Path) -> None:
    fill_folder(tmp_path / "a", 1, 5)
    images = store(tmp_path / "a")
    a, b = source(images, images).batch(range(4))
    assert all(not torch.allclose(left, right, atol=1e-3) for left, right in zip(a, b, strict=True))


def test_aligned_partners_are_cropped_alike(tmp_path: Path) -> None:
    images = store(fill_folder(tmp_path / "a", 4, 5))
    a, b = source(images, images, pairing="aligned").batch(range(8))
    assert torch.equal(a, b)


def test_aligned_domains_with_different_names_are_refused(tmp_path: Path) -> None:
    photos = store(fill_folder(tmp_path / "a", 3, 0))
    paintings = store(fill_folder(tmp_path / "b", 4, 0))
    with pytest.raises(InputError, match="aligned, but 3 has no partner"):
        source(photos, paintings, pairing="aligned")


def whole(folder: Path) -> ImageStore:
    return load_images(list_images(folder), DataConfig(resize="shorter", load_size=40, crop_size=32))


def test_images_of_different_sizes_come_in_batches_of_crops(tmp_path: Path) -> None:
    for index, size in enumerate([(90, 64), (64, 90), (33, 200), (48, 48)]):
        fill_folder(tmp_path / str(index), 1, index, size)
        (tmp_path / str(index) / "0.jpg").rename(tmp_path / f"{index}.jpg")
        (tmp_path / str(index)).rmdir()
    images = whole(tmp_path)
    a, b = source(images, images, resize="shorter").batch(range(6))
    assert a.shape == b.shape == (6, 3, 32, 32)
    alone = source(images, images, resize="shorter").batch([4])
    assert torch.allclose(a[4:5], alone[0], atol=1e-6)


def test_aligned_partners_of_different_ratios_are_refused(tmp_path: Path) -> None:
    photos, paintings = fill_folder(tmp_path / "a", 2, 0, (64, 48)), fill_folder(tmp_path / "b", 2, 0, (64, 60))
    with pytest.raises(InputError, match=r"aligned, but .*0.jpg and its partner have different ratios"):
        source(whole(photos), whole(paintings), resize="shorter", pairing="aligned")
    twice = fill_folder(tmp_path / "c", 2, 0, (128, 96))
    a, b = source(whole(photos), whole(twice), resize="shorter", pairing="aligned").batch(range(4))
    assert (a - b).abs().mean() < 0.1
