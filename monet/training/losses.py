"""The losses of CycleGAN, as pure functions (Zhu et al. 2017, sections 3 and 4).

G_AB: photo => painting, G_BA: painting => photo, D_A and D_B tell real from translated.
generators:     adversarial + λ · cycle-consistency + λ · λ_identity · identity, in both directions
                (with λ = 0 the adversarial loss of G_AB alone)
discriminators: ½ · (real + fake), on fakes from the image pool
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from monet.config import TrainingConfig
from monet.models import Direction, Networks
from monet.models.layers import full_precision

Domain = Literal["a", "b"]
"""`a`: photos; `b`: paintings."""

DOMAINS: tuple[Domain, Domain] = ("a", "b")

REAL, FAKE = 1.0, 0.0
"""Targets of a discriminator's output."""
_SLOWER = 0.5
"""Factor of a discriminator's loss, so that it learns slower than the generators (section 4 of the paper)."""


@dataclass(frozen=True)
class Losses:
    """The losses of one direction of the cycle, or of one discriminator.

    Attributes:
        terms: scalars by name; their sum is minimised.
        fakes: translations, (B, 3, H, W) in −1…1, without gradient, in fp32 or better: one of a direction.
    """

    terms: dict[str, Tensor]
    fakes: tuple[Tensor, ...] = ()

    @property
    def total(self) -> Tensor:
        """The sum of the terms."""
        return torch.stack(list(self.terms.values())).sum()


def generator_losses(
    networks: Networks,
    real_a: Tensor,
    real_b: Tensor,
    *,
    direction: Direction,
    lambda_cycle: float,
    lambda_identity: float,
) -> Losses:
    """Translates there and back, and computes the generators' losses of one direction.

    The directions share weights, but no activations: they may be computed one after the other, or at the same time.

    Args:
        networks: the four networks.
        real_a: photos, (B, 3, H, W), −1…1.
        real_b: paintings, (B, 3, H, W), −1…1.
        direction: where the cycle starts.
        lambda_cycle: weight of the cycle-consistency loss; 0 leaves its pass out.
        lambda_identity: weight of the identity loss as a share of `lambda_cycle`; 0 leaves its pass out.
    """
    there, back, discriminator = networks.generator_ab, networks.generator_ba, networks.discriminator_b
    real, target = real_a, real_b
    if direction == "ba":
        there, back, discriminator, real, target = back, there, networks.discriminator_a, real_b, real_a
    source_name, target_name = direction

    fake, *same = pass_each(there, real, *[target] * (lambda_cycle * lambda_identity > 0))
    terms = {f"adversarial_{direction}": least_squares(discriminator(fake), REAL)}
    if lambda_cycle > 0:
        terms[f"cycle_{source_name}"] = lambda_cycle * l1(back(fake), real)
    if same:
        terms[f"identity_{target_name}"] = lambda_cycle * lambda_identity * l1(same[0], target)
    return Losses(terms, (full_precision(fake.detach()),))


def discriminator_losses(networks: Networks, real: Tensor, fake: Tensor, *, domain: Domain) -> Losses:
    """Computes a discriminator's loss on real images and on fakes from the image pool, (B, 3, H, W) each."""
    name = f"discriminator_{domain}"
    on_real, on_fake = pass_each(networks.named()[name], real, fake)
    return Losses({name: _SLOWER * (least_squares(on_real, REAL) + least_squares(on_fake, FAKE))})


def loss_names(training: TrainingConfig) -> list[str]:
    """Returns the names of the losses that a step returns: the generators' sum first, the discriminators last."""
    if training.lambda_cycle == 0:
        return ["generator", "adversarial_ab", "discriminator_b"]
    identity = ["identity_a", "identity_b"] if training.lambda_identity > 0 else []
    generators = ["adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b", *identity]
    return ["generator", *generators, "discriminator_a", "discriminator_b"]


def in_order_of_names(losses: list[Losses], names: Sequence[str]) -> Tensor:
    """Joins the terms of all directions and discriminators into one vector.

    Args:
        losses: of the tasks of a step.
        names: those of `loss_names`, which give the order.

    Raises:
        ValueError: the terms are others than those names.
    """
    terms = {name: term for each in losses for name, term in each.terms.items()}
    if terms.keys() != set(names[1:]):
        raise ValueError(f"losses {sorted(terms)}: expected those of loss_names, {sorted(names[1:])}")
    values = torch.stack([terms[name] for name in names[1:]])
    minimised = values[: sum(not name.startswith("discriminator_") for name in names[1:])]
    return torch.cat([minimised.sum(0, keepdim=True), values])


def pass_each(network: nn.Module, *batches: Tensor) -> tuple[Tensor, ...]:
    """Passes batches of one shape through a network: together, for speed, where no layer looks at more than one image.

    Batch normalisation does: there every batch passes on its own, because joint statistics would mix the domains.
    """
    if len(batches) == 1 or mixes_images(network):
        return tuple(network(batch) for batch in batches)
    return torch.chunk(network(torch.cat(batches)), len(batches))


def mixes_images(network: nn.Module) -> bool:
    """Returns whether some layer looks at more than one image at a time."""
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def least_squares(predictions: Tensor, target: float) -> Tensor:
    """Computes the adversarial loss of Mao et al. 2017: the mean of (prediction − target)², in fp32 or better."""
    return (full_precision(predictions) - target).square().mean()


def l1(images: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean absolute difference, in fp32 or better."""
    return (full_precision(images) - full_precision(targets)).abs().mean()
