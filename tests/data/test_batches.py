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
