"""Generators without a training."""

from __future__ import annotations

import torch

from monet.config import Config, DataConfig, ModelConfig, TrainingConfig
from monet.models import DIRECTIONS, Generators, Learned, build_networks, initialise


def generators_of(model: ModelConfig, *, change: float = 4.0) -> Generators:
    """Generators whose changes are as large as trained ones'.

    Args:
        model: their settings.
        change: factor of all parameters that initialisation has drawn.
    """
    side = max(64, 2**model.downsamplings)
    config = Config(
        model=model, training=TrainingConfig(lambda_cycle=1.0), data=DataConfig(load_size=side, crop_size=side)
    )
    networks = build_networks(model, seed=3)
    found = {}
    for direction in DIRECTIONS:
        generator = networks.named()[f"generator_{direction}"]
        if model.skip:  # begins as identity
            initialise(generator, torch.Generator().manual_seed(4))
        for parameter in generator.parameters():
            parameter.data.mul_(change)
        found[direction] = generator.eval().requires_grad_(False)
    return Generators(config, found, Learned(photos=12, paintings=5, pairs=8, seconds=1.5))
