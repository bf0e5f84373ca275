"""Little memory: the words for it, the split, and how much a step takes."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from monet.device import choose_precision
from monet.training.memory import out_of_memory
from tests.benchmarks.measure import in_turns, peak_memory
from tests.gpu.engine import Engine, config_of, engine, out_of_memory_once
from tests.gpu.part import Found, Place, require

MIB = 2**20


def words(place: Place) -> Found:
    """Lets convolutions there and back run out of memory at different moments, the libraries' first use included."""
    said: dict[str, bool] = {}
    for room in (0, 8, 64, 256, 1024):
        for whole_card in (True, False):
            error = _error_with(room * MIB, place.torch_device, whole_card)
            if error is not None:
                said[str(error).splitlines()[0][:100]] = out_of_memory(error)
    require(bool(said), "nothing ran out of memory")
    unknown = [message for message, known in said.items() if not known]
    require(not unknown, f"not taken for a lack of memory: {'; '.join(unknown)}")
    return Found(f"{len(said)} different messages, all known for what they are", {"messages": list(said)})


def split(place: Place) -> Found:
    """Gives a step of `kaggle-top15` less memory than it takes: it must continue in two parts, with the same losses."""
    config = config_of(place, "kaggle-top15", ["--training.batch_size", "4", "--training.accumulation", "1"])
    precision = choose_precision("auto", place.torch_device, time.monotonic)  # the same for all three
    whole, needed = _measured(engine(config, place.torch_device, precision))
    halves, least = _measured(engine(_in_parts(place, 2), place.torch_device, precision))
    one = engine(config, place.torch_device, precision)
    with _limited((needed + least) // 2, place):
        losses = one.step()
        parts = one.execution.parts
        one.step()
    require(parts == 2, f"the step went through in {parts} parts with memory for a half")
    error = float(((losses - whole) / whole).abs().max())
    usual = float(((halves - whole) / whole).abs().max())
    require(error <= max(1e-3, 2 * usual), f"the losses of the split step are off by {error:.1e}")
    require(one.execution.guard.read() is None, "a split step was refused")
    return Found(
        f"from one part ({needed / 2**30:.2f} GiB) to two ({least / 2**30:.2f}), losses off by {error:.0e}",
        {"one part": needed, "two parts": least, "error": error},
    )


def peaks(place: Place) -> Found:
    """The memory and the time that a step of `kaggle-top15` takes, in one and in two parts, and with activations
    computed once more."""
    ways = {
        "one part": ["--training.accumulation", "1"],
        "two parts": ["--training.accumulation", "2"],
        "recomputed": ["--training.accumulation", "1", "--training.activation_checkpointing", "true"],
    }
    found: dict[str, dict[str, float]] = {}
    told = []
    for name, settings in ways.items():
        one = engine(config_of(place, "kaggle-top15", settings), place.torch_device)
        _, reserved = _measured(one)
        seconds = in_turns({"step": one.step}, 3, device=place.torch_device)["step"]
        fits = one.execution.parts == one.execution.config.training.accumulation
        require(fits or name != "two parts", "two parts, as the recipe has them, do not fit into the memory here")
        found[name] = {"bytes": reserved, "seconds": seconds, "parts": one.execution.parts}
        instead = "" if fits else f" (in {one.execution.parts} parts, which fit)"
        told.append(f"{name}{instead} {reserved / 2**30:.1f} GiB {seconds * 1e3:.0f} ms")
    return Found(", ".join(told), {"ways": found})


def _in_parts(place: Place, parts: int) -> Any:
    return config_of(place, "kaggle-top15", ["--training.batch_size", "4", "--training.accumulation", str(parts)])


def _measured(one: Engine) -> tuple[Tensor, int]:
    """The losses of a step, and the bytes that it takes at most."""
    device = one.real_a.device
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    losses = one.step()
    return losses, peak_memory(device)


def _error_with(room: int, device: torch.device, whole_card: bool) -> RuntimeError | None:
    """What a few convolutions raise with so many bytes left, of the card or of what PyTorch may take."""
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    hog = None
    try:
        if whole_card:
            hog = _hog(free - room, device)
        else:
            torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(device) + room) / total)
        image = torch.zeros(2, 64, 128, 128, device=device, requires_grad=True)
        weight = torch.zeros(64, 64, 3, 3, device=device, requires_grad=True)
        for _ in range(4):
            image = F.conv2d(image, weight, padding=1)
        (image.flatten(1) @ image.flatten(1).T).sum().backward()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        return RuntimeError(str(error)) if not isinstance(error, torch.OutOfMemoryError) else error.with_traceback(None)
    finally:
        del hog
        torch.cuda.set_per_process_memory_fraction(1.0)
    return None


def _hog(size: int, device: torch.device) -> Tensor:
    """A tensor of about so many bytes: as near to that as the card allows."""
    while True:
        try:
            return torch.empty(max(0, size), dtype=torch.uint8, device=device)
        except torch.OutOfMemoryError:
            size -= 16 * MIB


@contextlib.contextmanager
def _limited(most: int, place: Place) -> Iterator[None]:
    """Lets a step take no more than so many bytes of a GPU; on a CPU it fails once."""
    if not place.cuda:
        with out_of_memory_once():
            yield
        return
    gc.collect()
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info(place.torch_device)
    torch.cuda.set_per_process_memory_fraction(most / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
