from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monet.config import ModelConfig
from monet.models import WaveletDiscriminator, WaveletGenerator, build_networks
from monet.models.layers import InstanceNorm
from monet.models.wavelet import HaarTransform, InverseHaarTransform

SQUARE = torch.tensor([[1.0, 2.0], [3.0, 5.0]]) / 10


def coefficients(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """(3 colours, 4 subbands) of a 2×2 square."""
    return HaarTransform()(torch.stack([red, green, blue])[None]).reshape(3, 4)


def test_a_square_becomes_its_mean_and_its_differences() -> None:
    grey = coefficients(SQUARE, SQUARE, SQUARE)[0]
    # sqrt(3) for three equal colours, halves, and the standard deviations with their floor, by hand
    scales = torch.tensor([2.5609, 0.0585, 0.0585, 0.0234]).sqrt()
    by_hand = 3**0.5 / 2 * torch.tensor([1.1, 0.1 - 0.2 + 0.3 - 0.5, 0.1 + 0.2 - 0.3 - 0.5, 0.1 - 0.2 - 0.3 + 0.5])
    assert torch.allclose(grey, by_hand / scales, atol=1e-6)


def test_grey_has_no_colour_and_each_colour_a_coefficient_of_its_own() -> None:
    nothing = torch.zeros(2, 2)
    assert coefficients(SQUARE, SQUARE, SQUARE)[1:].abs().max() < 1e-6
    red_against_blue, green = coefficients(SQUARE, nothing, -SQUARE), coefficients(-SQUARE, 2 * SQUARE, -SQUARE)
    assert red_against_blue[[0, 2]].abs().max() < 1e-6 < 0.1 < red_against_blue[1, 0]
    assert green[[0, 1]].abs().max() < 1e-6 < 0.1 < -green[2, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_inverse_gives_the_pixels_back_in_fp32(dtype: torch.dtype) -> None:
    images = (torch.rand(2, 3, 16, 24) * 2 - 1).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        found = InverseHaarTransform()(HaarTransform()(images))
    assert found.dtype == torch.float32
    assert torch.allclose(found, images.float(), atol=1e-5)


def test_coefficients_of_natural_images_are_of_similar_size(photo_like: Tensor) -> None:
    brightness = HaarTransform()(photo_like).std((0, 2, 3))[:4]
    assert brightness.max() < 3 * brightness.min()


@pytest.fixture
def photo_like() -> Tensor:
    """Noise whose amplitude falls as one over the frequency, as that of photographs does; (2, 3, 128, 128)."""
    frequencies = torch.fft.fftfreq(128)
    amplitude = 1 / torch.hypot(frequencies[:, None], frequencies[None, :]).clamp(min=1 / 128)
    generator = torch.Generator().manual_seed(0)
    noise = torch.fft.fft2(torch.randn(2, 1, 128, 128, generator=generator))
    image = torch.fft.ifft2(noise * amplitude).real
    return (0.5 * image / image.std()).expand(2, 3, 128, 128).clamp(-1, 1)


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize(("downsamplings", "blocks"), [(1, 2), (2, 0), (3, 1)])
def test_a_generator_keeps_the_size_and_stays_in_range(norm, skip, downsamplings, blocks) -> None:
    generator = WaveletGenerator(width=4, residual_blocks=blocks, downsamplings=downsamplings, norm=norm, skip=skip)
    for parameter in generator.parameters():
        nn.init.normal_(parameter, 0.0, 0.5)
    side = 8 * 2**downsamplings
    found = generator(torch.rand(2, 3, side, 2 * side) * 2 - 1)
    assert found.shape == (2, 3, side, 2 * side)
    assert found.abs().max() <= 1


def test_generators_with_a_skip_begin_as_the_identity() -> None:
    networks = build_networks(ModelConfig(generator="wavelet", width=8, skip=True), seed=0)
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    assert torch.equal(networks.generator_ab(images), images)


def test_a_discriminator_has_the_size_and_the_receptive_field_that_it_states() -> None:
    discriminator = WaveletDiscriminator()
    assert round(sum(parameter.numel() for parameter in discriminator.parameters()) / 1e6, 3) == 0.090
    assert discriminator(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 32, 32)
    layers = [layer for layer in discriminator.layers if not isinstance(layer, InstanceNorm)]
    image = torch.randn(1, 3, 256, 256, requires_grad=True)
    nn.Sequential(*layers)(image)[0, 0, 15, 15].backward()
    assert image.grad is not None
    seen = image.grad.abs().sum((0, 1)) > 0
    assert (int(seen.any(0).sum()), int(seen.any(1).sum())) == (56, 56)


def test_the_constants_of_the_transform_are_in_no_checkpoint() -> None:
    names = {*WaveletGenerator(width=4).state_dict(), *WaveletDiscriminator(width=4).state_dict()}
    assert not [name for name in names if "kernel" in name]
