"""One step of all four networks on the device, against the CPU in float64."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.gpu.engine import BOTH_WAYS, Engine, config_of, distance, engine
from tests.gpu.part import Found, Place, Refuted, require

RECIPES = {"both ways": BOTH_WAYS, "kaggle-top15": "kaggle-top15"}
"""One with resized, one with transposed convolutions."""
SIDE = 64
"""Of the images: a float64 step at 256 takes minutes on a CPU."""
SCALE = 1024.0
"""Of fp16's losses: the usual first one, 65,536, overflows, and the step is refused."""


@dataclass(frozen=True)
class Bound:
    """How far a precision may be from float64. The gradients of L1 losses jump with the sign of tiny differences, so
    that low precisions are far off in norm, and no less good on average (docs/performance.md, *What is learned*)."""

    losses: float
    """Largest relative error of a loss. They are reported in fp32, whatever they are computed in."""
    gradients: float
    """Largest relative error of the gradient of a network, in the Euclidean norm."""


BOUNDS = {
    "float64": Bound(1e-6, 1e-9),
    "fp32": Bound(1e-4, 2e-2),
    "tf32": Bound(2e-2, 0.3),
    "fp16": Bound(2e-2, 0.3),
    "bf16": Bound(5e-2, 0.7),
}


@dataclass(frozen=True)
class Step:
    """What one step gave."""

    losses: Tensor
    gradients: dict[str, list[Tensor]]


def four_networks(place: Place) -> Found:
    """Compares a step of each recipe in each precision that the device is made for."""
    worst: dict[str, tuple[float, float]] = {}
    problems = []
    for title, recipe in RECIPES.items():
        reference = _taken(place, recipe, "float64", torch.device("cpu"))
        for name in precisions(place):
            try:
                errors = _errors(_taken(place, recipe, name, place.torch_device), reference)
            except (RuntimeError, Refuted) as error:
                problems.append(f"{title} in {name}: {str(error).strip().splitlines()[0]}")
                continue
            before = worst.get(name, (0.0, 0.0))
            worst[name] = (max(before[0], errors[0]), max(before[1], errors[1]))
            problems += [f"{title}: {problem}" for problem in out_of_bounds(name, *errors)]
    require(not problems, "; ".join(problems))
    line = ", ".join(f"{name} {losses:.0e}/{gradients:.0e}" for name, (losses, gradients) in worst.items())
    return Found(f"off by (losses/gradients) {line}", {"errors": worst})


def precisions(place: Place) -> list[str]:
    """Those that the device is made for; TF32 is one of GPUs from compute capability 8 on."""
    if not place.cuda:
        return ["float64", "fp32", "fp16", "bf16"]
    tf32 = ["tf32"] if torch.cuda.get_device_capability() >= (8, 0) else []
    bf16 = ["bf16"] if torch.cuda.is_bf16_supported(including_emulation=False) else []
    return ["float64", "fp32", *tf32, "fp16", *bf16]


def out_of_bounds(name: str, losses: float, gradients: float) -> list[str]:
    """What of the errors of a precision is too large, in words; NaN is."""
    bound = BOUNDS[name]
    return [
        f"{what} in {name} off by {found:.1e}, more than {most:.0e}"
        for what, found, most in (("losses", losses, bound.losses), ("gradients", gradients, bound.gradients))
        if not found <= most
    ]


def _taken(place: Place, recipe: str, name: str, device: torch.device) -> Step:
    side = str(place.pick(SIDE, 32))
    words = ["--data.crop_size", side, "--data.load_size", side, "--training.batch_size", "2"]
    config = config_of(place, recipe, [*words, "--training.accumulation", "1"])
    with tf32(name == "tf32"):
        one = _engine(config, name, device)
        losses = one.step().cpu()
        return Step(losses, one.gradients())


def _engine(config, name: str, device: torch.device) -> Engine:
    half = name in ("fp16", "bf16")
    one = engine(config, device, name if half else "fp32", double=name == "float64")
    if name == "fp16":
        one.state.scaler = torch.amp.GradScaler(device.type, init_scale=SCALE)
    return one


def _errors(found: Step, reference: Step) -> tuple[float, float]:
    losses = ((found.losses - reference.losses) / reference.losses).abs().max()
    gradients = [distance(found.gradients[name], gradient) for name, gradient in reference.gradients.items()]
    return float(losses), float(torch.tensor(gradients).max())


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Lets convolutions and products of fp32 numbers use TF32, or not."""
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept
