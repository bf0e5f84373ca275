"""One step of CycleGAN training, as the paper says it (Zhu et al. 2017, sections 3 and 4).

G_AB: photo => painting, G_BA: painting => photo, D_A and D_B tell real from translated.
generators:     adversarial + λ · cycle-consistency + λ · λ_identity · identity, in both directions
discriminators: ½ · (real + fake), on fakes from the image pool
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monet.models import Networks


@dataclass(frozen=True)
class GeneratorPass:
    """What the generators made of a batch.

    Attributes:
        losses: scalars by name; their sum is what the generators minimise.
        fake_a, fake_b: translations of the paintings and of the photos, (B, 3, H, W) in −1…1, without gradient, in
            fp32 or better.
    """

    losses: dict[str, Tensor]
    fake_a: Tensor
    fake_b: Tensor

    @property
    def total(self) -> Tensor:
        """The sum of the losses."""
        return torch.stack(list(self.losses.values())).sum()


def generator_pass(
    networks: Networks, real_a: Tensor, real_b: Tensor, *, lambda_cycle: float, lambda_identity: float
) -> GeneratorPass:
    """Translates there and back, and computes the generators' losses.

    Args:
        networks: the four networks.
        real_a: photos, (B, 3, H, W), −1…1.
        real_b: paintings, (B, 3, H, W), −1…1.
        lambda_cycle: weight of the cycle-consistency loss.
        lambda_identity: weight of the identity loss as a share of `lambda_cycle`; 0 leaves its passes out.
    """
    identity = lambda_identity > 0
    fake_b, *same_b = pass_each(networks.generator_ab, real_a, *[real_b] * identity)
    fake_a, *same_a = pass_each(networks.generator_ba, real_b, *[real_a] * identity)
    cycled_a = networks.generator_ba(fake_b)
    cycled_b = networks.generator_ab(fake_a)
    losses = {
        "adversarial_ab": least_squares(networks.discriminator_b(fake_b), 1.0),
        "adversarial_ba": least_squares(networks.discriminator_a(fake_a), 1.0),
        "cycle_a": lambda_cycle * l1(cycled_a, real_a),
        "cycle_b": lambda_cycle * l1(cycled_b, real_b),
    }
    if identity:
        losses["identity_a"] = lambda_cycle * lambda_identity * l1(same_a[0], real_a)
        losses["identity_b"] = lambda_cycle * lambda_identity * l1(same_b[0], real_b)
    return GeneratorPass(losses, _full(fake_a.detach()), _full(fake_b.detach()))


def discriminator_losses(
    networks: Networks, real_a: Tensor, real_b: Tensor, fake_a: Tensor, fake_b: Tensor
) -> dict[str, Tensor]:
    """The discriminators' losses on real images and on fakes from the image pools, scalars by name."""
    losses = {}
    for name, discriminator, real, fake in (
        ("discriminator_a", networks.discriminator_a, real_a, fake_a),
        ("discriminator_b", networks.discriminator_b, real_b, fake_b),
    ):
        on_real, on_fake = pass_each(discriminator, real, fake)
        losses[name] = 0.5 * (least_squares(on_real, 1.0) + least_squares(on_fake, 0.0))
    return losses


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
