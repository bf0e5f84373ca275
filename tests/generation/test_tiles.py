"""Large images in tiles: the same pixels as in one piece, under the same statistics of normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monet.config import ModelConfig
from monet.errors import InputError
from monet.generation.normalisation import KeptNorm, KeptStatistics
from monet.generation.tiles import reach_of, tiles
from monet.generation.translator import Translator
from monet.models import build_generator
from monet.models.layers import InstanceNorm
from tests.generators import generators_of

NETWORKS = {
    "resnet": ModelConfig(width=4, residual_blocks=2),
    "resize": ModelConfig(width=4, residual_blocks=1, downsamplings=3, upsample="resize"),
    "skip": ModelConfig(width=4, residual_blocks=3, downsamplings=1, skip=True),
    "unet": ModelConfig(generator="unet", width=4, downsamplings=4),
    "wavelet": ModelConfig(generator="wavelet", width=8, residual_blocks=4, downsamplings=1),
    "wavelet at a quarter": ModelConfig(generator="wavelet", width=8, residual_blocks=2, downsamplings=2),
    "batch": ModelConfig(width=4, residual_blocks=1, norm="batch"),
}


def translator(model: ModelConfig, tile: int) -> Translator:
    return Translator(generators_of(model), device=torch.device("cpu"), precision="fp32", tile=tile)


def image(height: int, width: int) -> torch.Tensor:
    coarse = torch.rand(1, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(-1, 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_give_what_the_whole_image_gives_under_the_same_statistics(name: str) -> None:
    given, large = image(150, 211), translator(NETWORKS[name], tile=1000)
    statistics = large.statistics("ab")
    large._run(given, statistics, own_share=1.0)
    whole = large._run(given, statistics, own_share=0.0)
    small = translator(NETWORKS[name], tile=64)
    tiled = small._tiled(given, statistics.generator)
    assert tiled.shape == given.shape
    assert (tiled - whole).abs().max() < 1e-4
    assert whole.std() > 0.05


def test_a_large_image_has_the_statistics_of_its_reduced_self() -> None:
    given, reduced = image(256, 320), None
    tiled = translator(NETWORKS["resnet"], tile=128)
    translated = tiled.translate(given)
    assert translated.shape == given.shape
    scale = 128 / (256 * 320) ** 0.5
    size = [int(256 * scale), int(320 * scale)]
    reduced = torch.nn.functional.interpolate(given, size, mode="bilinear", antialias=True)
    large = translator(NETWORKS["resnet"], tile=1000)
    statistics = large.statistics("ab")
    large._run(reduced, statistics, own_share=1.0)
    expected = large._run(given, statistics, own_share=0.0)
    assert (translated - expected).abs().max() < 1e-4
    pixels = ((given[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
    as_bytes = tiled.translate(pixels).astype(np.int16)
    as_floats = ((translated[0].permute(1, 2, 0) + 1) * 127.5).numpy()
    assert np.abs(as_bytes - as_floats).mean() < 1.5


@pytest.mark.parametrize("size", [(64, 64), (64, 200), (333, 65), (1, 900)])
@pytest.mark.parametrize(("side", "reach", "multiple"), [(64, 20, 4), (65, 7, 8), (16, 100, 16)])
def test_every_pixel_is_kept_once_and_seen_with_all_it_depends_on(
    size: tuple[int, int], side: int, reach: int, multiple: int
) -> None:
    height, width = (-(-each // multiple) * multiple for each in size)
    count = np.zeros((height, width), int)
    for tile in tiles(height, width, side=side, reach=reach, multiple=multiple):
        count[tile.kept] += 1
        for kept, seen, inner, end in zip(tile.kept, tile.seen, tile.inner, (height, width), strict=True):
            assert seen.start % multiple == seen.stop % multiple == 0
            assert seen.start <= max(0, kept.start - reach)
            assert seen.stop >= min(end, kept.stop + reach)
            assert (kept.start, kept.stop) == (seen.start + inner.start, seen.start + inner.stop)
            assert kept.stop - kept.start <= max(side, multiple)
    assert (count == 1).all()


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "batch"])
def test_no_pixel_depends_on_one_that_is_farther_than_the_reach(name: str) -> None:
    model = NETWORKS[name]
    kept = KeptStatistics(build_generator(model))
    side = 2 * reach_of(model) // 16 * 16 + 64
    given = torch.rand(1, 3, side, side)
    kept.generator(given)
    kept.keep()
    kept.mix(0.0)
    given.requires_grad_()
    row = column = side // 2 + 1
    kept.generator(given)[0, :, row, column].sum().backward()
    assert given.grad is not None
    rows, columns = given.grad.abs().sum((0, 1)).nonzero(as_tuple=True)
    farthest = max(abs(int(each) - row) for each in (rows.min(), rows.max(), columns.min(), columns.max()))
    assert reach_of(model) / 4 < farthest <= reach_of(model)


def test_kept_normalisation_begins_as_the_plain_one_and_mixes_as_it_is_told() -> None:
    plain, kept = InstanceNorm(5), KeptNorm()
    first, second = torch.randn(1, 5, 9, 7) * 3 + 1, torch.randn(1, 5, 9, 7)
    assert torch.allclose(kept(first), plain(first), atol=1e-5)
    assert torch.allclose(kept(second), plain(second), atol=1e-5)  # nothing is kept yet
    kept(first)
    kept.keep()
    kept.own_share = 0.0
    mean, variance = first.mean((2, 3), keepdim=True), first.var((2, 3), correction=0, keepdim=True)
    assert torch.allclose(kept(second), (second - mean) / (variance + 1e-5).sqrt(), atol=1e-5)
    kept.own_share = 0.25
    mean = 0.75 * mean + 0.25 * second.mean((2, 3), keepdim=True)
    variance = 0.75 * variance + 0.25 * second.var((2, 3), correction=0, keepdim=True)
    assert torch.allclose(kept(second), (second - mean) / (variance + 1e-5).sqrt(), atol=1e-5)
    kept.forget()
    assert torch.allclose(kept(second), plain(second), atol=1e-5)


def test_keeping_statistics_shares_the_weights_and_leaves_the_generator_as_it_is() -> None:
    generator = build_generator(NETWORKS["resnet"])
    kept = KeptStatistics(generator)
    for one, other in zip(generator.parameters(), kept.generator.parameters(), strict=True):
        assert one is other
    assert any(isinstance(module, InstanceNorm) for module in generator.modules())
    assert not any(isinstance(module, InstanceNorm) for module in kept.generator.modules())


def test_tiles_that_the_networks_cannot_halve_are_refused() -> None:
    with pytest.raises(InputError, match="tiles of 15 pixels are too small: give at least 16"):
        translator(NETWORKS["resnet"], tile=15)


def test_a_size_that_a_unet_halves_to_one_pixel_is_not_padded() -> None:
    model = ModelConfig(generator="unet", width=4, downsamplings=5)
    loaded = generators_of(model)
    generator = loaded.by_direction["ab"]
    given = image(32, 64)
    translated = Translator(loaded, device=torch.device("cpu"), precision="fp32").translate(given)
    with torch.no_grad():
        assert torch.allclose(translated, generator(given).clamp(-1, 1), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (16, 40), (17, 16)])
def test_small_images_pass_through_a_deep_resnet(size: tuple[int, int]) -> None:
    deep = translator(ModelConfig(width=2, residual_blocks=1, downsamplings=4), tile=1000)
    assert deep.translate(image(*size)).shape == (1, 3, *size)
