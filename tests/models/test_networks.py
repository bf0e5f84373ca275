from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from monet.config import ModelConfig
from monet.errors import InputError
from monet.models import (
    PatchDiscriminator,
    PooledDiscriminator,
    ResnetGenerator,
    UnetGenerator,
    WaveletDiscriminator,
    WaveletGenerator,
    build_discriminator,
    build_generator,
    build_networks,
    generator_from_checkpoint,
)
from monet.models.layers import HeadConvolution, InstanceNorm, ResizeConvolution


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("blocks", "millions"), [(9, 11.378), (11, 13.738), (6, 7.838)])
def test_the_resnet_generator_has_the_papers_number_of_parameters(blocks: int, millions: float) -> None:
    assert round(parameters(ResnetGenerator(residual_blocks=blocks)) / 1e6, 3) == millions


def test_the_discriminator_has_the_papers_size_and_receptive_field() -> None:
    discriminator = PatchDiscriminator()
    assert round(parameters(discriminator) / 1e6, 3) == 2.765
    assert discriminator(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)
    # A verdict changes with 70×70 pixels and no others. The norms, which see everything, are taken out.
    layers = [layer for layer in discriminator.layers if not isinstance(layer, InstanceNorm)]
    image = torch.randn(1, 3, 256, 256, requires_grad=True)
    nn.Sequential(*layers)(image)[0, 0, 15, 15].backward()
    assert image.grad is not None
    seen = image.grad.abs().sum((0, 1)) > 0
    assert (int(seen.any(0).sum()), int(seen.any(1).sum())) == (70, 70)


def test_a_pooled_discriminator_gives_one_verdict_an_image_of_any_size() -> None:
    pooled = PooledDiscriminator(width=64)
    convolutions = [layer for layer in pooled.blocks if isinstance(layer, nn.Conv2d)]
    assert [(layer.out_channels, layer.stride) for layer in convolutions] == [(n, (2, 2)) for n in (64, 128, 256, 512)]
    assert isinstance(pooled.blocks[1], InstanceNorm)  # in the first layer, too
    assert sum(parameter.numel() for parameter in pooled.parameters()) == 2_761_153
    small = PooledDiscriminator(width=4)
    for size in ((32, 32), (64, 48), (256, 256)):
        image = torch.randn(2, 3, *size)
        assert small(image).shape == (2, 1, 1, 1)
        assert torch.allclose(small(image), small.verdicts(small.blocks(image)).mean((2, 3), keepdim=True))


@pytest.mark.parametrize("upsample", ["transpose", "resize"])
@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize(("downsamplings", "blocks"), [(1, 2), (2, 0), (3, 1)])
def test_a_resnet_generator_keeps_the_size_and_stays_in_range(upsample, norm, downsamplings, blocks) -> None:
    generator = ResnetGenerator(
        width=4, residual_blocks=blocks, downsamplings=downsamplings, upsample=upsample, norm=norm
    )
    image = torch.randn(2, 3, 64, 48).clamp(-1, 1)
    output = generator(image)
    assert output.shape == image.shape
    assert output.abs().max() <= 1
    assert not torch.equal(output[0], output[1])


@pytest.mark.parametrize("upsample", ["transpose", "resize"])
@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_a_unet_generator_keeps_the_size_and_stays_in_range(upsample, norm, levels) -> None:
    generator = UnetGenerator(width=4, levels=levels, upsample=upsample, norm=norm)
    image = torch.randn(2, 3, 64, 64).clamp(-1, 1)
    output = generator(image)
    assert output.shape == image.shape
    assert output.abs().max() <= 1
    output.sum().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())


def test_the_unet_of_pix2pix_has_its_number_of_parameters() -> None:
    # 8 levels at width 64, 54.41 M with batch norm in the reference implementation.
    assert round(parameters(UnetGenerator(levels=8, norm="batch")) / 1e6, 2) == 54.41


def test_resize_convolution_leaves_no_grid_on_a_flat_input() -> None:
    torch.manual_seed(1)

    def grid(upsample) -> float:
        layers = list(ResnetGenerator(width=8, residual_blocks=0, downsamplings=1, upsample=upsample).layers)
        start = 7
        output = layers[start](torch.ones(1, 16, 16, 16))[0, :, 8:24, 8:24]
        return (output[:, ::2] - output[:, 1::2]).abs().max().item()

    assert grid("transpose") > 1e-3
    assert grid("resize") < 1e-6


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 8)])
def test_a_resize_convolution_is_a_resize_then_a_padded_convolution(size: tuple[int, int]) -> None:
    layer = ResizeConvolution(6, 4).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    padded = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="reflect")
    literal, fast = F.conv2d(padded, layer.weight, layer.bias), layer(x)
    assert fast.shape == literal.shape
    assert (fast - literal).abs().max() < 1e-12
    weights, inputs = torch.randn_like(literal), [x, *layer.parameters()]
    expected = torch.autograd.grad((literal * weights).sum(), inputs)
    for mine, theirs in zip(torch.autograd.grad((fast * weights).sum(), inputs), expected, strict=True):
        assert (mine - theirs).abs().max() < 1e-11


@pytest.mark.parametrize("size", [(14, 18), (7, 7), (9, 12), (13, 14)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_head_paints_what_it_was_trained_as(size: tuple[int, int], bias: bool) -> None:
    layer = HeadConvolution(5, 3, 7, bias=bias).double()
    x = torch.randn(2, 5, *size, dtype=torch.float64)
    with torch.no_grad():
        painted = layer(x)
    assert (painted - F.conv2d(x, layer.weight, layer.bias)).abs().max() < 1e-12
    assert torch.equal(layer(x), F.conv2d(x, layer.weight, layer.bias))


def test_weights_are_drawn_from_a_normal_distribution_with_deviation_002() -> None:
    networks = build_networks(ModelConfig(width=32, norm="batch"), seed=3)
    weights = torch.cat([p.flatten() for n, p in networks.generator_ab.named_parameters() if p.ndim == 4])
    assert abs(weights.mean()) < 1e-4
    assert abs(weights.std() - 0.02) < 1e-4
    assert abs(weights.abs().max()) > 0.08
    for module in networks.generator_ab.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert abs(module.weight.mean() - 1) < 0.02
            assert module.bias.abs().max() == 0


@pytest.mark.parametrize("kind", ["resnet", "unet"])
def test_a_generator_with_a_skip_starts_as_the_identity_and_stays_in_range(kind) -> None:
    config = ModelConfig(generator=kind, width=4, residual_blocks=1, discriminator_width=4, skip=True)
    networks = build_networks(config, seed=0)
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    for generator in (networks.generator_ab, networks.generator_ba):
        assert torch.equal(generator(image), image)
        *_, last = (layer for layer in generator.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)))
        nn.init.normal_(last.weight, 0, 1.0)
        changed = generator(image)
        assert changed.abs().max() == 1
        assert (changed - image).abs().mean() > 0.1
    changed.sum().backward()
    assert last.weight.grad is not None


def test_networks_are_a_function_of_the_seed_and_differ_from_each_other() -> None:
    config = ModelConfig(width=4, residual_blocks=1, discriminator_width=4)
    torch.manual_seed(1)
    one = build_networks(config, 0)
    torch.manual_seed(2)
    two, other = build_networks(config, 0), build_networks(config, 1)
    for name, network in one.named().items():
        weight = next(network.parameters())
        assert torch.equal(weight, next(two.named()[name].parameters()))
        assert not torch.equal(weight, next(other.named()[name].parameters()))
    assert not torch.equal(next(one.generator_ab.parameters()), next(one.generator_ba.parameters()))


def test_instance_norm_is_pytorchs() -> None:
    x = torch.randn(3, 5, 8, 9, dtype=torch.float64) * 4 + 7
    assert torch.allclose(InstanceNorm(5)(x), F.instance_norm(x), atol=1e-12)


def test_normalisation_statistics_are_in_fp32_although_the_input_is_bf16() -> None:
    # A large offset with a small spread: statistics in bf16 would lose the spread altogether.
    exact = (torch.randn(2, 4, 64, 64) * 2 + 200).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = InstanceNorm(4)(exact)
    reference = F.instance_norm(exact.double())
    assert output.dtype == torch.bfloat16
    assert (output.double() - reference).abs().max() < 2**-7 * reference.abs().max()


@pytest.mark.parametrize("generator", ["resnet", "unet", "wavelet"])
@pytest.mark.parametrize("weights", ["ema", "raw"])
@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_a_generator_comes_back_from_a_checkpoint(generator, weights, direction) -> None:
    config = ModelConfig(generator=generator, width=4, residual_blocks=1)
    source = {name: build_generator(config) for name in ("ema_ab", "ema_ba", "raw_ab", "raw_ba")}
    contents: dict[str, Any] = {
        "config": {"model": vars(config)},
        "networks": {f"generator_{d}": source[f"raw_{d}"].state_dict() for d in ("ab", "ba")},
        "ema": {f"generator_{d}": source[f"ema_{d}"].state_dict() for d in ("ab", "ba")},
    }
    loaded = generator_from_checkpoint(contents, direction=direction, weights=weights)
    image = torch.randn(1, 3, 32, 32)
    assert torch.equal(loaded(image), source[f"{weights}_{direction}"].eval()(image))
    contents["ema"] = None
    assert torch.equal(
        generator_from_checkpoint(contents, direction=direction)(image), source[f"raw_{direction}"].eval()(image)
    )


def test_the_settings_choose_the_networks() -> None:
    assert isinstance(build_generator(ModelConfig()), ResnetGenerator)
    assert isinstance(build_generator(ModelConfig(generator="unet")), UnetGenerator)
    assert build_discriminator(ModelConfig(discriminator="pooled"))(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 1, 1)
    assert isinstance(build_generator(ModelConfig(generator="wavelet")), WaveletGenerator)
    assert isinstance(build_discriminator(ModelConfig(discriminator="wavelet")), WaveletDiscriminator)


def test_a_run_without_a_cycle_has_no_generator_for_the_way_back() -> None:
    model = ModelConfig(width=4, residual_blocks=0)
    weights = {f"generator_{d}": build_generator(model).state_dict() for d in ("ab", "ba")}
    config = {"model": vars(model), "training": {"lambda_cycle": 0}}
    contents: dict[str, Any] = {"config": config, "networks": weights, "ema": None}
    generator_from_checkpoint(contents, direction="ab")
    with pytest.raises(InputError, match="direction ba is not trained where training.lambda_cycle is 0: give ab"):
        generator_from_checkpoint(contents, direction="ba")
