from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from monet.data.pixels import to_jpeg, to_network, to_pixels


def test_pixels_survive_the_way_to_the_network_and_back() -> None:
    pixels = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    images = to_network(pixels, torch.device("cpu"))
    assert images.shape == (2, 3, 8, 8)
    assert images.min() >= -1
    assert images.max() <= 1
    assert np.array_equal(to_pixels(images), pixels)


def test_values_beyond_the_range_are_clipped_and_the_images_are_left_as_they_were() -> None:
    images = torch.tensor([[[[-2.0]], [[0.0]], [[2.0]]]])
    assert to_pixels(images).tolist() == [[[[0, 128, 255]]]]
    assert images.flatten().tolist() == [-2.0, 0.0, 2.0]


def test_a_jpeg_file_is_what_pillow_writes_with_the_chroma_halved_or_whole() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    for subsampling, options in (("4:2:0", {}), ("4:4:4", {"subsampling": 0})):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90, **options)
        assert to_jpeg(pixels, 90, subsampling) == file.getvalue()  # type: ignore[arg-type]
    assert to_jpeg(pixels, 90) == to_jpeg(pixels, 90, "4:2:0")
