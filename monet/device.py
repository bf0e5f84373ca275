"""Which device works here, and in which precision it is fastest."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F

from monet.clock import Clock
from monet.config import require_device_name
from monet.distributed import Group
from monet.errors import InputError, first_line
from monet.machine import available_processors, compiler, processor_name, total_memory
from monet.threads import compute_threads

Precision = Literal["fp32", "bf16", "fp16"]

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
_TURNS = 20
"""Of the probe that compares precisions: some tens of milliseconds."""
_CLEARLY = 1.2
"""So many times faster bf16 has to be, to be worth its rounding."""


def choose_device(name: str) -> torch.device:
    """Returns the device that a name stands for; `auto` is the first accelerator that really works, else the CPU.

    Raises:
        InputError: the named device is unknown, absent, or fails a convolution.
    """
    if name == "auto":
        return next((device for device in _accelerators() if device_problem(device) is None), torch.device("cpu"))
    try:
        require_device_name(name)
    except ValueError as error:
        raise InputError(str(error)) from None
    device = torch.device(name)
    if problem := device_problem(device):
        raise InputError(f"device {name} does not work here: {problem}; give auto or cpu")
    return device


def own_device(name: str, group: Group) -> torch.device:
    """Returns the device of this process; of several on one machine each has a GPU of its own.

    Raises:
        InputError: as `choose_device`, or there are fewer GPUs than processes, or some of these found none.
    """
    if group.world_size == 1 or name == "cpu":
        return choose_device(name)
    count = torch.cuda.device_count()
    if (name == "auto" and count == 0) or name == "mps":
        return torch.device("cpu")
    if count < group.local_world_size or ":" in name:
        raise InputError(
            f"{group.local_world_size} processes here cannot each have a GPU of their own (device {name}, {count} CUDA "
            "GPUs): start as many as there are GPUs, with --training.device auto, or give --training.device cpu"
        )
    return choose_device(f"cuda:{group.local_rank}")


def device_problem(device: torch.device) -> str | None:
    """Runs a convolution with its gradient, and a bicubic resampling, on the device. `is_available()` is not enough: a
    GPU that is older than the installed PyTorch's kernels is available and then fails.

    Returns:
        What is wrong, in a few words; None if it works.
    """
    try:
        weight = torch.ones(4, 3, 3, 3, device=device, requires_grad=True)
        F.conv2d(torch.ones(1, 3, 8, 8, device=device), weight).sum().backward()  # type: ignore[no-untyped-call]
        correct = weight.grad is not None and weight.grad.eq(36.0).all().item()
        grid = torch.zeros(1, 2, 2, 2, device=device)
        F.grid_sample(torch.ones(1, 3, 8, 8, device=device), grid, "bicubic", "reflection", align_corners=False)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return first_line(error)
    return None if correct else "a convolution gives a wrong result"


def compile_problem(device: torch.device) -> str | None:
    """Compiles and runs a small function on the device: a compiler that is there may still lack headers or Triton.

    Returns:
        What is wrong, in a few words; None if it works.
    """
    if device.type == "cpu" and compiler() is None:
        return "no C++ compiler"
    try:
        torch.compile(lambda x: (x * 2).relu())(torch.ones(8, device=device))
    except Exception as error:  # the compiler's many stages raise nearly anything  # noqa: BLE001
        return f"{type(error).__name__}: {first_line(error)}"
    return None


def choose_precision(setting: str, device: torch.device, clock: Clock) -> Precision:
    """Returns the precision of the convolutions: `auto` is bf16 where the hardware has it, fp16 where only that helps.

    On a CPU both are timed side by side, on the clock: not every processor that accepts bf16 computes faster in it.

    Raises:
        InputError: there is no such precision.
    """
    if setting not in ("auto", *get_args(Precision)):
        raise InputError(f"precision is {setting!r}: give auto, {', '.join(get_args(Precision))}")
    if setting != "auto":
        return setting  # type: ignore[return-value]
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        return "fp16" if torch.cuda.get_device_capability(device) >= (7, 0) else "fp32"
    return "bf16" if device.type == "cpu" and _bf16_is_faster(clock) else "fp32"


def suitable_precision(stored: Precision, device: torch.device, clock: Clock) -> Precision:
    """Returns the precision in which a run was trained, where this device is made for it; else the one that `auto`
    chooses."""
    on_cuda = device.type == "cuda"
    made_for_it = {
        "fp32": True,
        "fp16": on_cuda,
        "bf16": device.type == "cpu" or (on_cuda and torch.cuda.is_bf16_supported(including_emulation=False)),
    }
    return stored if made_for_it[stored] else choose_precision("auto", device, clock)


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """Runs convolutions in the precision; nothing at all for fp32, so that float64 networks stay in float64.

    Weights are converted at every use: PyTorch's cache of them is the process's, and one thread would clear it while
    another uses it.
    """
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=_HALF[precision], cache_enabled=False)


@contextlib.contextmanager
def full_fp32(device: torch.device) -> Iterator[None]:
    """Keeps CUDA's convolutions from computing fp32 in TF32, which holds three decimal digits.

    The setting is the process's: open it around threads, not in them, or one puts back what another has set.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def synchronize(device: torch.device) -> None:
    """Waits until an accelerator has done all that is queued; a CPU never queues anything."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Returns the machine and its software, as `environment.json` holds them."""
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": processor_name(),
        "processors": available_processors(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(total_memory() / 1e9, 1),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def _accelerators() -> list[torch.device]:
    found = [torch.device("cuda")] if torch.cuda.is_available() else []
    return found + ([torch.device("mps")] if torch.backends.mps.is_available() else [])


def _bf16_is_faster(clock: Clock) -> bool:
    """Times a convolution in both types, in turns and in one thread. The fastest of each counts: whatever else computes
    on this machine makes some of them slower, and none faster."""
    times: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}

    def measure() -> None:
        with torch.inference_mode():
            for _ in range(_TURNS):
                for dtype, measured in times.items():
                    image, weight = torch.ones(1, 64, 64, 64, dtype=dtype), torch.ones(64, 64, 3, 3, dtype=dtype)
                    start = clock()
                    F.conv2d(image, weight, padding=1)
                    measured.append(clock() - start)

    with compute_threads(1) as pool:
        pool.submit(measure).result()
    return min(times[torch.bfloat16]) * _CLEARLY < min(times[torch.float32])
