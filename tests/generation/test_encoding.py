"""Which encoder writes the paintings."""

from __future__ import annotations

import io
import logging
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.io import encode_jpeg

from monet.device import choose_device
from monet.generation.encoding import better_encoder, choose_encoder, encode
from tests.conftest import fill_folder
from tests.generation.test_painter import painter

CUDA = choose_device("auto").type == "cuda"


def pictures(count: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    return (torch.nn.functional.interpolate(coarse, 256, mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


class Encoder:
    """As faithful as Pillow, because it is; quick from the second time on, or slow."""

    def __init__(self, quality: int = 0, seconds: float = 0.0) -> None:
        self.quality, self.seconds = quality, seconds
        self.known: dict[bytes, list[bytes]] = {}
        self.batches: list[int] = []

    def __call__(self, images: Tensor, quality: int) -> list[bytes]:
        self.batches.append(len(images))
        time.sleep(self.seconds)
        key = images.numpy().tobytes()
        if key not in self.known:
            pixels = images.permute(0, 2, 3, 1).numpy()
            self.known[key] = [encode(image, self.quality or quality) for image in pixels]
        return self.known[key]


def choose(encoder: object) -> object:
    return better_encoder(encoder, pictures(), 95, 1, time.monotonic)  # type: ignore[arg-type]


def test_a_faster_encoder_that_is_as_good_is_taken_and_a_slower_one_is_not() -> None:
    quick = Encoder()
    assert choose(quick) is quick
    assert choose(Encoder(seconds=0.3)) is None


def test_an_encoder_that_halves_chroma_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert choose(lambda images, quality: [t.numpy().tobytes() for t in encode_jpeg(list(images), quality)]) is None
    assert "halves the resolution of chroma" in caplog.text


def test_an_encoder_that_is_further_from_the_pixels_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert choose(Encoder(quality=30)) is None
    assert "grey levels, Pillow by" in caplog.text


def test_an_encoder_that_is_not_there_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    def absent(*_: object) -> list[bytes]:
        raise RuntimeError("encode_jpegs_cuda: torchvision not compiled with nvJPEG support\nat frame 1")

    with caplog.at_level(logging.INFO):
        assert choose(absent) is None
    assert caplog.messages == [
        "paintings are encoded with Pillow: encode_jpegs_cuda: torchvision not compiled with nvJPEG support"
    ]
    assert choose_encoder(torch.device("cpu"), 95, 1, time.monotonic) is None


def test_batches_go_to_the_devices_encoder_and_come_back_in_order(tmp_path: Path) -> None:
    fill_folder(tmp_path / "photos", 7, 0, (256, 256))
    photos = [tmp_path / "photos" / f"{index}.jpg" for index in range(7)]
    encoder = Encoder()
    one = painter(batch_size=3, encoder=encoder)
    other = painter(batch_size=3)
    batches = [photos[:3], photos[3:6], photos[6:]]
    found, expected = ([list(batch) for batch in each._paint_batches(batches)] for each in (one, other))
    assert [len(batch) for batch in found] == [3, 3, 1]
    assert sorted(encoder.batches) == [1, 3, 3]
    assert found == expected


@pytest.mark.skipif(not CUDA, reason="no CUDA device")
def test_nvjpeg_keeps_colours_and_chroma() -> None:
    from monet.generation.encoding import nvjpeg

    images = pictures()
    for jpeg, truth in zip(nvjpeg(images.cuda(), 95), images.permute(0, 2, 3, 1).numpy(), strict=True):
        image = np.asarray(Image.open(io.BytesIO(jpeg)), dtype=np.int16)
        assert np.abs(image - truth).mean() < 3
