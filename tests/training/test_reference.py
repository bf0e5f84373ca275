"""Whole steps, optimizers and pools included, against the plain step that the benchmarks compare with."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from monet.config import TrainingConfig
from monet.training.losses import loss_names
from tests.benchmarks.curve import copy_weights
from tests.benchmarks.reference import CycleGan
from tests.training.test_step import Batches, trainer

STEPS = 8


@pytest.mark.parametrize("settings", [{}, {"accumulation": 2}, {"activation_checkpointing": True}], ids=repr)
def test_steps_leave_the_weights_that_the_plain_step_leaves(tmp_path: Path, settings: dict[str, object]) -> None:
    """In float64: in fp32, rounding alone drives two runs apart within a few of Adam's steps. The pools of 50 are not
    full yet, so that both hand out every fake as it comes."""
    torch.manual_seed(0)
    random.seed(0)
    plain = CycleGan(4, 2, torch.device("cpu"), discriminator_width=4)
    engine = trainer(tmp_path, {"batch_size": 2, "pool_size": 50, **settings})
    networks = engine.state.networks.named()
    pairs = {
        "generator_ab": plain.g_ab,
        "generator_ba": plain.g_ba,
        "discriminator_a": plain.d_a,
        "discriminator_b": plain.d_b,
    }
    for name, theirs in pairs.items():
        theirs.double()
        copy_weights(theirs, networks[name])
    for step in range(STEPS):
        generators, discriminators = plain.step(*Batches().batch(range(2 * step, 2 * step + 2)))
        losses = dict(zip(loss_names(TrainingConfig()), engine.take_step(0.0).tolist(), strict=True))
        engine.report()
        assert losses["generator"] == pytest.approx(generators, rel=1e-6)
        assert losses["discriminator_a"] + losses["discriminator_b"] == pytest.approx(discriminators, rel=1e-6)
    for name, theirs in pairs.items():
        for (key, mine), value in zip(networks[name].named_parameters(), theirs.parameters(), strict=True):
            if not key.endswith("bias"):  # those before a normalisation have no effect, and rounding for a gradient
                assert (mine - value).abs().max() < 1e-9, f"{name} {key}"
