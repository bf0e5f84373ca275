"""What the device is, how fast the parts of a run are on it, and whether the probes foresee that."""

from __future__ import annotations

import contextlib
import functools
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from monet.data.layout import find_layout
from monet.device import choose_precision, compile_problem, describe_machine, device_problem
from monet.generation.painter import Painter, make_painter, seconds_per_photo
from monet.models import build_generator
from tests.benchmarks.measure import ceiling, draw_files, in_turns, synchronize
from tests.gpu.engine import Engine, config_of, engine
from tests.gpu.part import Found, Place, require

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BUSY = 0.9
"""Seconds of work that are under way when a probe begins."""
TOLERANCE = 1.5
"""How far a probe may be off: that much slack is in the reserve."""


def identify(place: Place) -> Found:
    """What results depend on."""
    device = place.torch_device
    require((problem := device_problem(device)) is None, str(problem))
    name = describe_machine(device)["device"]
    return Found(name, {"device": name, "torch": torch.__version__, "shapes": "tiny" if place.tiny else "real"})


def machine(place: Place) -> Found:
    """What the device is, whether it works, what `auto` chooses, and its best rates."""
    device = place.torch_device
    require((problem := device_problem(device)) is None, f"the device does not work: {problem}")
    precision = choose_precision("auto", device, time.monotonic)
    described: dict[str, Any] = describe_machine(device) | {"auto": precision}
    names = ["fp32"] if place.tiny else sorted({"fp32", "fp16" if place.cuda else "bf16", precision})
    rates = {name: ceiling(device, DTYPES[name], place.pick(0, 256)) for name in names}
    described |= {"rates": rates, "compiler": compile_problem(device) if place.cuda else None}
    if place.cuda:
        properties = torch.cuda.get_device_properties(device)
        described |= {
            "capability": torch.cuda.get_device_capability(device),
            "bytes": properties.total_memory,
            "devices": torch.cuda.device_count(),
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "cuda": torch.version.cuda,
        }
    told = ", ".join(f"{name} {rate / 1e12:.3g}" for name, rate in rates.items())
    compiler = f", no torch.compile ({described['compiler']})" if described["compiler"] else ""
    return Found(
        f"{described['device']}, torch {torch.__version__}, auto is {precision}; {told} TFLOP/s{compiler}", described
    )


def batches(place: Place) -> Found:
    """Whether batches on the device are those of the CPU, and how long they take."""
    from monet.data.batches import PairSource
    from monet.data.store import ImageStore

    config = config_of(place, "kaggle", ["--data.rotate", "10", "--data.color_jitter", "0.2"])
    images = [
        torch.randint(
            0, 256, (8, 3, *config.data.load), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
        )
        for seed in (0, 1)
    ]
    stores = [ImageStore(values, (Path("image"),) * 8, ()) for values in images]
    mine, theirs = (
        PairSource(stores[0], stores[1], config.data, seed=0, device=device)
        for device in (place.torch_device, torch.device("cpu"))
    )
    pairs = range(config.training.batch_size)
    batches = zip(mine.batch(pairs), theirs.batch(pairs), strict=True)
    gaps = [float((one.cpu() - other).abs().max()) for one, other in batches]
    require(max(gaps) <= 5e-3, f"a pixel of a batch is off by {max(gaps):.1e} of 2 from the CPU's")
    took = in_turns({"batch": lambda: mine.batch(pairs)}, place.pick(20, 2), warm_up=3, device=place.torch_device)
    return Found(f"pixels within {max(gaps):.0e} of the CPU's, {took['batch'] * 1e3:.1f} ms a batch", took)


def recipe(place: Place, name: str) -> Found:
    """Steps of a recipe in its own precision: channels last or not, and with cuDNN trying out its algorithms."""
    config, device = config_of(place, name), place.torch_device
    layouts = {"channels last": torch.channels_last, "plain": torch.contiguous_format}
    engines = {told: engine(config, device, layout=layout) for told, layout in layouts.items()}
    with FlopCounterMode(display=False) as counter:
        engines["plain"].step()
    sides: dict[str, Callable[[], Any]] = {told: one.step for told, one in engines.items()}
    if place.cuda:
        sides["tried out"] = functools.partial(_tried_out, engines["channels last"])
    took = in_turns(sides, place.pick(5, 1), warm_up=place.pick(3, 1), device=device)
    require(all(one.execution.guard.read() is None for one in engines.values()), "a loss was not finite")
    precision = engines["plain"].precision
    best = ceiling(device, DTYPES[precision], place.pick(0, 256))
    size, flops = config.training.batch_size, counter.get_total_flops()
    told = [f"{side} {size / seconds:.3g} ({flops / seconds / best:.0%})" for side, seconds in took.items()]
    return Found(
        f"pairs/s (share of the ceiling) in {precision}: {', '.join(told)}",
        {"seconds": took, "flops": flops, "ceiling": best, "batch": size, "precision": precision},
    )


def painting(place: Place) -> Found:
    """Photos a second, from file to JPEG, with and without cuDNN."""
    photos = some_photos(place, place.pick(96, 2))
    painters = {name: painter(place, name) for name in ("kaggle", "kaggle-top15")}
    sides = {
        f"{name}{'' if enabled else ' without cuDNN'}": functools.partial(_paint, painters[name], photos, enabled)
        for name in painters
        for enabled in ([True, False] if place.cuda else [True])
    }
    took = in_turns(sides, place.pick(2, 1), device=place.torch_device)
    told = [f"{side} {len(photos) / seconds:.3g}" for side, seconds in took.items()]
    return Found(f"photos/s: {', '.join(told)}", {"seconds": took, "photos": len(photos)})


def probes(place: Place) -> Found:
    """What the probe of the painting says at first, behind queued work, and warm, against what painting takes."""
    mine, photos = painter(place, "kaggle"), some_photos(place, 8)
    at_least = place.pick(1000, 50) / 1000
    probe = functools.partial(seconds_per_photo, mine, photos, time.monotonic, at_least)
    said = {"cold": probe()}
    wait = queued_work(place)
    said["behind queued work"] = probe()
    wait()
    said["warm"] = statistics.median(probe() for _ in range(3))
    count = math.ceil(3 * at_least / said["warm"])
    begun = time.perf_counter()
    _paint(mine, [photos[index % len(photos)] for index in range(count)], True)
    truth = (time.perf_counter() - begun) / count
    return foreseen(said, truth, 20 if place.tiny else TOLERANCE)


def foreseen(said: dict[str, float], truth: float, tolerance: float) -> Found:
    """Compares what probes said with the truth.

    Args:
        said: seconds an image, by probe.
        truth: seconds an image.
        tolerance: how many times longer or shorter they may be.

    Raises:
        Refuted: a probe is too far off.
    """
    ratios = {name: seconds / truth for name, seconds in said.items()}
    told = ", ".join(f"{name} {ratio:.2f}×" for name, ratio in ratios.items())
    far = [name for name, ratio in ratios.items() if not 1 / tolerance <= ratio <= tolerance]
    require(not far, f"the probe is off, {' and '.join(far)}: {told} of {truth * 1e3:.2f} ms an image")
    return Found(f"{told} of {truth * 1e3:.2f} ms an image", {"ratios": ratios, "truth": truth})


def queued_work(place: Place) -> Callable[[], None]:
    """Has the device work for a while. Returns what waits for it; a CPU is never behind."""
    if place.cuda:
        left = torch.ones(4096, 4096, device=place.device)
        once = in_turns({"product": lambda: left @ left}, 5, warm_up=3, device=place.torch_device)["product"]
        for _ in range(math.ceil(BUSY / once)):
            left @ left
    return lambda: synchronize(place.torch_device)


def painter(place: Place, name: str) -> Painter:
    """A painter with the generator of a recipe."""
    config = config_of(place, name)
    return make_painter(
        build_generator(config.model).requires_grad_(False),
        config.generation,
        device=place.torch_device,
        precision=choose_precision("auto", place.torch_device, time.monotonic),
        **({"workers": 1} if place.tiny else {}),
    )


def some_photos(place: Place, count: int) -> list[Path]:
    """Photos of the data set, or drawn ones; repeated as often as it takes."""
    if place.data != "demo":
        known = list(find_layout(Path(place.data)).to_paint[:count])
    else:
        folder = place.out / "photos"
        known = sorted(folder.glob("*.jpg")) or draw_files(folder, place.pick(16, 2))
    return [known[index % len(known)] for index in range(count)]


def _tried_out(one: Engine) -> None:
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        one.step()


def _paint(mine: Painter, photos: list[Path], cudnn: bool) -> None:
    with contextlib.nullcontext() if cudnn else torch.backends.cudnn.flags(enabled=False):
        for _ in mine.paint(photos):
            pass
