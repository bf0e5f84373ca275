"""One step of CycleGAN training, as the paper says it (Zhu et al. 2017, sections 3 and 4).

G_AB: photo => painting, G_BA: painting => photo, D_A and D_B tell real from translated.
generators:     adversarial + λ · cycle-consistency + λ · λ_identity · identity, in both directions
discriminators: ½ · (real + fake), on fakes from the image pool
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from monet.models import Networks

Direction = Literal["ab", "ba"]
"""`ab`: from photo to painting and back; `ba`: from painting to photo and back."""

DIRECTIONS: tuple[Direction, Direction] = ("ab", "ba")


@dataclass(frozen=True)
class GeneratorPass:
    """What the generators made of a batch in one direction.

    Attributes:
        losses: scalars by name; their sum over both directions is what the generators minimise.
        fake: translations, (B, 3, H, W) in −1…1, without gradient, in fp32 or better.
    """

    losses: dict[str, Tensor]
    fake: Tensor

    @property
    def total(self) -> Tensor:
        """The sum of the losses."""
        return torch.stack(list(self.losses.values())).sum()


def generator_pass(
    networks: Networks,
    direction: Direction,
    real_a: Tensor,
    real_b: Tensor,
    *,
    lambda_cycle: float,
    lambda_identity: float,
) -> GeneratorPass:
    """Translates there and back, and computes the generators' losses of one direction.

    The directions share weights, but no activations: they may be computed one after the other, or at the same time.

    Args:
        networks: the four networks.
        direction: where the cycle starts.
        real_a: photos, (B, 3, H, W), −1…1.
        real_b: paintings, (B, 3, H, W), −1…1.
        lambda_cycle: weight of the cycle-consistency loss.
        lambda_identity: weight of the identity loss as a share of `lambda_cycle`; 0 leaves its pass out.
    """
    there, back, judge = networks.generator_ab, networks.generator_ba, networks.discriminator_b
    real, target = real_a, real_b
    if direction == "ba":
        there, back, judge, real, target = back, there, networks.discriminator_a, real_b, real_a
    source_name, target_name = direction

    fake, *same = pass_each(there, real, *[target] * (lambda_identity > 0))
    losses = {
        f"adversarial_{direction}": least_squares(judge(fake), 1.0),
        f"cycle_{source_name}": lambda_cycle * l1(back(fake), real),
    }
    if same:
        losses[f"identity_{target_name}"] = lambda_cycle * lambda_identity * l1(same[0], target)
    return GeneratorPass(losses, _full(fake.detach()))


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """A discriminator's loss on real images and on fakes from the image pool, (B, 3, H, W) each: a scalar."""
    on_real, on_fake = pass_each(discriminator, real, fake)
    return 0.5 * (least_squares(on_real, 1.0) + least_squares(on_fake, 0.0))


def pass_each(network: nn.Module, *batches: Tensor) -> tuple[Tensor, ...]:
    """Passes batches of one shape through a network: together, for speed, where no layer looks at more than one image.

    Batch normalisation does: there every batch passes on its own, because joint statistics would mix the domains.
    """
    if len(batches) == 1 or mixes_images(network):
        return tuple(network(batch) for batch in batches)
    return torch.chunk(network(torch.cat(batches)), len(batches))


def mixes_images(network: nn.Module) -> bool:
    """Some layer looks at more than one image at a time."""
    return any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def least_squares(verdicts: Tensor, target: float) -> Tensor:
    """Adversarial loss of Mao et al. 2017: the mean of (verdict − target)², in fp32 or better."""
    return (_full(verdicts) - target).square().mean()


def l1(images: Tensor, targets: Tensor) -> Tensor:
    """The mean absolute difference, in fp32 or better."""
    return (_full(images) - _full(targets)).abs().mean()


def _full(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
