"""The four networks of an unpaired translator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from monet.config import DIRECTIONS, Config, Direction, ModelConfig, from_dict
from monet.errors import InputError
from monet.models.discriminator import PatchDiscriminator, PooledDiscriminator
from monet.models.fit import Misfit, require_same
from monet.models.layers import initialise, start_as_identity
from monet.models.resnet import ResnetGenerator
from monet.models.unet import UnetGenerator
from monet.models.wavelet import WaveletDiscriminator, WaveletGenerator

__all__ = [
    "DIRECTIONS",
    "Direction",
    "Generators",
    "Learned",
    "Misfit",
    "Networks",
    "PatchDiscriminator",
    "PooledDiscriminator",
    "ResnetGenerator",
    "UnetGenerator",
    "WaveletDiscriminator",
    "WaveletGenerator",
    "Weights",
    "build_discriminator",
    "build_generator",
    "build_networks",
    "generator_from_checkpoint",
    "generators_from_checkpoint",
    "generators_from_model",
    "initialise",
    "networks_without_memory",
]

Weights = Literal["ema", "raw"]
"""`ema`: averaged weights, where a run has them; `raw`: those of the last step."""


@dataclass(frozen=True)
class Networks:
    """The four networks; a is the source domain (photo), b the target (painting)."""

    generator_ab: nn.Module
    """Photo to painting."""
    generator_ba: nn.Module
    """Painting to photo."""
    discriminator_a: nn.Module
    """Real photo or not."""
    discriminator_b: nn.Module
    """Real painting or not."""

    def named(self) -> dict[str, nn.Module]:
        """Returns the networks by name."""
        return dict(vars(self))

    def generators(self, directions: Sequence[Direction] = DIRECTIONS) -> list[nn.Parameter]:
        """Returns the parameters of both generators, or of those of some directions."""
        return self._parameters([f"generator_{direction}" for direction in directions])

    def discriminators(self, directions: Sequence[Direction] = DIRECTIONS) -> list[nn.Parameter]:
        """Returns the parameters of both discriminators, or of those at the ends of some directions."""
        return self._parameters(sorted(f"discriminator_{target}" for _, target in directions))

    def _parameters(self, names: Sequence[str]) -> list[nn.Parameter]:
        return [parameter for name in names for parameter in self.named()[name].parameters()]


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What generators were trained on, and for how long."""

    photos: int
    """Images of the source domain."""
    paintings: int
    """Images of the target domain."""
    pairs: int
    """Pairs seen."""
    seconds: float
    """Training time."""


@dataclass(frozen=True)
class Generators:
    """The trained generators of a run, apart from all else that its checkpoint holds."""

    config: Config
    """The run's settings."""
    by_direction: Mapping[Direction, nn.Module]
    """Those that are trained: on the CPU, in fp32, ready to paint."""
    learned: Learned
    """What from."""


def build_generator(config: ModelConfig) -> ResnetGenerator | UnetGenerator | WaveletGenerator:
    """Returns a generator with PyTorch's own initialisation; `initialise` gives it the paper's."""
    if config.generator == "unet":
        return UnetGenerator(
            width=config.width,
            levels=config.downsamplings,
            upsample=config.upsample,
            norm=config.norm,
            skip=config.skip,
        )
    if config.generator == "wavelet":
        return WaveletGenerator(
            width=config.width,
            residual_blocks=config.residual_blocks,
            downsamplings=config.downsamplings,
            norm=config.norm,
            skip=config.skip,
        )
    return ResnetGenerator(
        width=config.width,
        residual_blocks=config.residual_blocks,
        downsamplings=config.downsamplings,
        upsample=config.upsample,
        norm=config.norm,
        skip=config.skip,
    )


def build_discriminator(config: ModelConfig) -> PatchDiscriminator | PooledDiscriminator | WaveletDiscriminator:
    """Returns a discriminator with PyTorch's own initialisation; `initialise` gives it the paper's."""
    if config.discriminator == "wavelet":
        return WaveletDiscriminator(width=config.discriminator_width, norm=config.norm)
    if config.discriminator == "pooled":
        return PooledDiscriminator(width=config.discriminator_width, norm=config.norm)
    return PatchDiscriminator(width=config.discriminator_width, norm=config.norm)


def build_networks(config: ModelConfig, seed: int) -> Networks:
    """Returns all four networks, initialised from the seed, on the CPU, in fp32."""
    networks = _uninitialised(config)
    generator = torch.Generator().manual_seed(seed)
    for network in networks.named().values():
        initialise(network, generator)
    if config.skip:
        start_as_identity(networks.generator_ab)
        start_as_identity(networks.generator_ba)
    return networks


def networks_without_memory(config: ModelConfig) -> Networks:
    """Returns all four networks on the `meta` device: names and shapes, without values."""
    with torch.device("meta"):
        return _uninitialised(config)


def _uninitialised(config: ModelConfig) -> Networks:
    return Networks(
        build_generator(config), build_generator(config), build_discriminator(config), build_discriminator(config)
    )


def generator_from_checkpoint(
    contents: dict[str, Any], *, direction: Direction = "ab", weights: Weights = "ema"
) -> nn.Module:
    """Returns the generator of a loaded checkpoint, on the CPU, ready to paint.

    Args:
        contents: a checkpoint whose tensors fit its settings.
        direction: `ab` is photo to painting.
        weights: `ema` for the averaged weights where the run has them, or `raw`.

    Raises:
        InputError: the weights are neither, or the run has not trained that direction.
    """
    if weights not in ("ema", "raw"):
        raise InputError(f"weights are {weights!r}: give ema or raw")
    config = from_dict(contents["config"])
    if direction not in config.training.directions:
        raise InputError(f"direction {direction} is not trained where training.lambda_cycle is 0: give ab")
    generator = build_generator(config.model)
    averaged = contents["ema"] if weights == "ema" else None
    generator.load_state_dict((averaged or contents["networks"])[f"generator_{direction}"])
    return generator.eval().requires_grad_(False)


def generators_from_checkpoint(contents: dict[str, Any], weights: Weights = "ema") -> Generators:
    """Returns all trained generators of a loaded checkpoint; see `generator_from_checkpoint`."""
    config = from_dict(contents["config"])
    found = {
        direction: generator_from_checkpoint(contents, direction=direction, weights=weights)
        for direction in config.training.directions
    }
    data, counters = contents["data"], contents["counters"]
    learned = Learned(
        photos=data["photos"], paintings=data["paintings"], pairs=counters["pairs"], seconds=counters["seconds"]
    )
    return Generators(config, found, learned)


def generators_from_model(contents: dict[str, Any]) -> Generators:
    """Returns the generators of a model that `monet.checkpoint.model.load` has read.

    Raises:
        Misfit: a tensor is not as the settings make it.
    """
    config, found = from_dict(contents["config"]), {}
    with torch.device("meta"):
        expected = build_generator(config.model).state_dict()
    for direction, tensors in contents["generators"].items():
        require_same(tensors, expected, f"generator_{direction}")
        generator = build_generator(config.model)
        generator.load_state_dict(tensors)
        found[direction] = generator.eval().requires_grad_(False)
    return Generators(config, found, Learned(**contents["learned"]))
