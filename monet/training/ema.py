"""An exponential moving average of the generators' weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

_RAMP = 10
"""Pairs of the ramp of the decay, (1 + n) / (10 + n) after n pairs: that of TensorFlow's `ExponentialMovingAverage`."""


class MovingAverage:
    """Keeps averaged copies of networks.

    The decay is per pair, so it does not depend on the batch size, and ramps up over the first pairs, so that the
    average forgets the random weights of the start.

    Args:
        networks: the networks to average, by name; copied at once.
        decay: share of the average that survives one pair, from 0 to below 1.
    """

    def __init__(self, networks: dict[str, nn.Module], decay: float) -> None:
        self.networks = {name: copy.deepcopy(network).requires_grad_(False) for name, network in networks.items()}
        self._sources = networks
        self._decay = decay

    @torch.no_grad()
    def update(self, pairs: int, batch_size: int, keep: Tensor) -> None:
        """Moves the average towards the present weights.

        Args:
            pairs: pairs seen before this step.
            batch_size: pairs of this step.
            keep: scalar bool on the device; where it is False, nothing moves.
        """
        decay = min(self._decay, (1 + pairs) / (_RAMP + pairs)) ** batch_size
        weight = torch.where(keep, 1.0 - decay, 0.0)
        for name, network in self.networks.items():
            averages = list(network.state_dict(keep_vars=True).values())
            values = list(self._sources[name].state_dict(keep_vars=True).values())
            floating = [(a, v) for a, v in zip(averages, values, strict=True) if a.is_floating_point()]
            differences = torch._foreach_sub([v.detach() for _, v in floating], [a for a, _ in floating])
            torch._foreach_mul_(differences, weight)
            torch._foreach_add_([a for a, _ in floating], differences)
