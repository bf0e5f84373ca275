"""A checkpoint of one device continues on another."""

from __future__ import annotations

import copy
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from monet import checkpoint
from monet.clock import Horizon
from monet.config import Config
from monet.device import suitable_precision
from monet.training.state import run_facts
from tests.gpu.engine import BOTH_WAYS, Engine, config_of, distance, engine
from tests.gpu.part import Found, Place, require
from tests.gpu.precision import BOUNDS, tf32


def resume(place: Place) -> Found:
    """Resumes a CPU's checkpoint on the device, as optimizers with and without fused steps leave it, and back."""
    side = str(place.pick(64, 32))
    config = config_of(place, BOTH_WAYS, ["--training.batch_size", "2", "--data.crop_size", side])
    first = engine(config, torch.device("cpu"), "fp32")
    first.step()
    contents = _through_a_file(config, first)
    errors = {}
    with tf32(False):
        for fused in (True, False):  # MPS has no fused optimizer, and keeps the steps on the CPU
            second = _gone_on(config, place.torch_device, _with_groups(contents, fused))
            errors["fused" if fused else "not fused"] = _compared(second, copy.deepcopy(first))
        _gone_on(config, torch.device("cpu"), _through_a_file(config, second))
    precisions = {
        stored: suitable_precision(stored, place.torch_device, time.monotonic) for stored in ("fp32", "bf16", "fp16")
    }
    worst = max(errors.values())
    require(worst <= BOUNDS["fp32"].gradients, f"the second step's moments are off by {worst:.1e}")
    changed = ", ".join(f"{stored} in {used}" for stored, used in precisions.items() if stored != used)
    return Found(f"moments off by {worst:.0e} after a step; {changed or 'every precision'} continues", precisions)


def _through_a_file(config: Config, one: Engine) -> dict[str, Any]:
    """What a checkpoint holds, written and read."""
    facts = run_facts(config, "fp32", 2, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / checkpoint.LAST
        checkpoint.save(path, {**one.state.state_dict(), "horizon": asdict(Horizon(pairs=100)), **facts})
        return checkpoint.load(path)


def _with_groups(contents: dict[str, Any], fused: bool) -> dict[str, Any]:
    """The contents as an optimizer leaves them whose steps are fused, or not."""
    changed = copy.deepcopy(contents)
    for optimizer in changed["optimizers"].values():
        for group in optimizer["param_groups"]:
            group["fused"] = fused
    return changed


def _gone_on(config: Config, device: torch.device, contents: dict[str, Any]) -> Engine:
    """An engine that took a step from a checkpoint on.

    Raises:
        Refuted: Adam's steps are not where its fused kernel wants them, or a network does not move.
    """
    one = engine(config, device, "fp32")
    one.state.load_state_dict(contents, device)
    for name, optimizer in one.state.optimizers.items():
        places = {str(value["step"].device.type) for value in optimizer.state.values()}
        wanted = device.type if optimizer.defaults["fused"] else "cpu"
        require(places == {wanted}, f"Adam's steps of the {name} are on {', '.join(places)}, not on {wanted}")
    before = one.weights()
    one.step()
    require(len(one.moved(before)) == 4, "not all four networks take the step after resuming")
    return one


def _compared(second: Engine, first: Engine) -> float:
    """How far the moments are from those of an uninterrupted CPU, at worst."""
    first.step()
    pairs = zip(second.state.optimizers.values(), first.state.optimizers.values(), strict=True)
    return max(
        distance(
            [value["exp_avg"] for value in mine.state.values()], [value["exp_avg"] for value in theirs.state.values()]
        )
        for mine, theirs in pairs
    )
