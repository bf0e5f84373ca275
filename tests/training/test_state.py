"""Where a state's tensors are when it continues on another kind of device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from monet.settings import resolve
from monet.training.state import TrainingState
from tests.conftest import TINY

CPU, OTHER = torch.device("cpu"), torch.device("meta")


def state(device: torch.device, *, fused: bool) -> TrainingState:
    """A state whose optimizers are fused, as on CUDA, or not, as on MPS."""
    made = TrainingState.create(resolve({}, TINY), device, "fp32")
    for optimizer in made.optimizers.values():
        optimizer.defaults["fused"] = fused
        for group in optimizer.param_groups:
            group["fused"] = fused
    return made


def contents(*, fused: bool) -> dict[str, Any]:
    """A checkpoint's contents after one step."""
    made = state(CPU, fused=fused)
    for optimizer in made.optimizers.values():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    return made.state_dict()


@pytest.mark.filterwarnings("ignore:for layers.*no-op")
@pytest.mark.parametrize(("stored", "here", "where"), [(False, True, OTHER), (True, False, CPU), (True, True, OTHER)])
def test_adams_step_is_where_a_fresh_optimizer_of_this_device_would_have_it(
    stored: bool, here: bool, where: torch.device
) -> None:
    """Fused optimizers count steps on the device, the others on the CPU."""
    resumed = state(OTHER, fused=here)
    resumed.load_state_dict(contents(fused=stored), OTHER)
    for optimizer in resumed.optimizers.values():
        assert {moments["step"].device for moments in optimizer.state.values()} == {where}
        assert {moments["exp_avg"].device for moments in optimizer.state.values()} == {OTHER}
        assert [group["fused"] for group in optimizer.param_groups] == [here]
