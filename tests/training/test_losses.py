"""The losses, against hand-made values and a literal transcription of the paper in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monet.config import TrainingConfig
from monet.data.stream import Purpose
from monet.models import DIRECTIONS, Networks
from monet.training.losses import (
    Losses,
    discriminator_losses,
    generator_losses,
    in_order_of_names,
    l1,
    least_squares,
    loss_names,
    mixes_images,
    pass_each,
)
from tests.training.test_step import Batches, LiteralPool, execution, paper


def image(value: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.full((1, 3, 2, 2), value, dtype=dtype)


class Times(nn.Module):
    """Multiplies images, and counts how often it is called."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.calls = factor, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.factor * x


def test_least_squares_is_the_mean_of_the_squared_distance_to_the_target() -> None:
    predictions = torch.tensor([[0.0, 1.0], [3.0, -1.0]])
    assert least_squares(predictions, 1.0).item() == (1 + 0 + 4 + 4) / 4
    assert least_squares(predictions, 0.0).item() == (0 + 1 + 9 + 1) / 4


def test_l1_is_the_mean_absolute_difference() -> None:
    assert l1(torch.tensor([1.0, -1.0, 0.5, 0.0]), torch.tensor([0.0, 1.0, 0.5, -1.0])).item() == (1 + 2 + 0 + 1) / 4


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_losses_are_computed_in_fp32_or_better(dtype: torch.dtype, expected: torch.dtype) -> None:
    assert least_squares(image(1, dtype), 1.0).dtype == expected
    assert l1(image(1, dtype), image(0, dtype)).dtype == expected


def test_the_losses_of_both_directions_are_those_computed_by_hand() -> None:
    """G doubles, F triples, D_A adds nothing to a half, D_B to a fourth."""
    networks = Networks(Times(2.0), Times(3.0), Times(0.5), Times(0.25))
    a, b = image(1.0), image(4.0)
    ab, ba = (
        generator_losses(networks, a, b, direction=direction, lambda_cycle=10.0, lambda_identity=0.5)
        for direction in DIRECTIONS
    )
    assert {name: term.item() for name, term in ab.terms.items()} == {
        "adversarial_ab": (0.25 * 2 - 1) ** 2,
        "cycle_a": 10 * abs(3 * 2 - 1),
        "identity_b": 10 * 0.5 * abs(2 * 4 - 4),
    }
    assert {name: term.item() for name, term in ba.terms.items()} == {
        "adversarial_ba": (0.5 * 12 - 1) ** 2,
        "cycle_b": 10 * abs(2 * 12 - 4),
        "identity_a": 10 * 0.5 * abs(3 * 1 - 1),
    }
    assert torch.equal(ab.fakes[0], image(2.0))
    assert torch.equal(ba.fakes[0], image(12.0))
    assert ab.total.item() == sum(term.item() for term in ab.terms.values())


def test_a_discriminators_loss_is_half_of_that_on_real_images_and_on_fakes() -> None:
    networks = Networks(Times(1.0), Times(1.0), Times(0.5), Times(0.25))
    losses = discriminator_losses(networks, image(4.0), image(2.0), domain="a")
    assert {name: term.item() for name, term in losses.terms.items()} == {
        "discriminator_a": 0.5 * ((0.5 * 4 - 1) ** 2 + (0.5 * 2) ** 2)
    }
    assert losses.fakes == ()


def test_fakes_have_no_gradient() -> None:
    networks = execution().state.networks
    a, b = Batches().batch(range(2))
    made = generator_losses(networks, a, b, direction="ab", lambda_cycle=10.0, lambda_identity=0.5)
    assert made.total.requires_grad
    assert not made.fakes[0].requires_grad


def test_losses_are_joined_in_the_order_of_their_names() -> None:
    values = {name: float(2**power) for power, name in enumerate(loss_names(TrainingConfig())[1:])}
    terms = {name: torch.tensor(value) for name, value in reversed(values.items())}
    joined = in_order_of_names([Losses({name: term}) for name, term in terms.items()], loss_names(TrainingConfig()))
    judged = values["discriminator_a"] + values["discriminator_b"]
    assert joined.tolist() == [sum(values.values()) - judged, *values.values()]


@pytest.mark.parametrize("others", [{}, {"identity_a": 1.0, "identity_b": 1.0, "total_variation": 1.0}])
def test_a_loss_that_is_missing_or_has_no_name_to_be_reported_by_is_an_error(others: dict[str, float]) -> None:
    terms = {name: torch.tensor(1.0) for name in (*loss_names(TrainingConfig(lambda_identity=0.0))[1:], *others)}
    with pytest.raises(ValueError, match="expected those of loss_names"):
        in_order_of_names([Losses(terms)], loss_names(TrainingConfig()))


def test_batches_pass_together_where_no_layer_mixes_images() -> None:
    network = Times(2.0)
    one, two = pass_each(network, image(1.0), image(2.0))
    assert torch.equal(one, image(2.0))
    assert torch.equal(two, image(4.0))
    assert network.calls == 1


def test_batches_pass_one_by_one_through_batch_norm() -> None:
    norm = nn.BatchNorm2d(3)
    assert mixes_images(nn.Sequential(norm))
    assert not mixes_images(nn.InstanceNorm2d(3))
    for found in pass_each(norm, image(1.0), image(2.0)):  # together one of them would be below 0
        assert found.abs().max().item() < 1e-3


def test_losses_agree_to_1e9_in_float64() -> None:
    engine = execution()
    a, b = Batches().batch(range(2))
    expected, _ = paper(
        engine.state.networks, a, b, (LiteralPool(5, Purpose.POOL_A), LiteralPool(5, Purpose.POOL_B)), 0
    )
    networks = engine.state.networks
    ab, ba = (
        generator_losses(networks, a, b, direction=direction, lambda_cycle=10.0, lambda_identity=0.5)
        for direction in DIRECTIONS
    )
    judged = {
        "discriminator_a": discriminator_losses(networks, a, ba.fakes[0], domain="a").total,
        "discriminator_b": discriminator_losses(networks, b, ab.fakes[0], domain="b").total,
    }
    assert ab.total.dtype == ba.total.dtype == torch.float64
    for name, value in {"generator": ab.total + ba.total, **ab.terms, **ba.terms, **judged}.items():
        assert abs(value.item() - expected[name].item()) < 1e-9 * max(1.0, abs(expected[name].item())), name


def test_without_identity_loss_its_passes_are_left_out() -> None:
    engine = execution()
    calls: list[int] = []
    for name in ("generator_ab", "generator_ba"):
        engine.state.networks.named()[name].register_forward_hook(lambda *_: calls.append(1))
    a, b = Batches().batch(range(2))
    for direction in DIRECTIONS:
        made = generator_losses(
            engine.state.networks, a, b, direction=direction, lambda_cycle=10.0, lambda_identity=0.0
        )
        assert len(made.terms) == 2
    assert len(calls) == 4
