"""Compiled networks: what they cost and gain, and when they are compiled again."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch._dynamo.backends.registry import lookup_backend
from torch._dynamo.utils import counters

from monet.training.compiling import compile_networks
from tests.benchmarks.measure import in_turns
from tests.gpu.engine import BOTH_WAYS, Engine, config_of, engine, out_of_memory_once
from tests.gpu.part import Found, Place, require
from tests.gpu.precision import BOUNDS

TURNS, WARM_UP = 10, 4
"""CUDA graphs are recorded in the second turn."""


class Counting:
    """A compiler that only traces, and counts what it is given.

    Attributes:
        graphs: how many there were, as they are used forward.
        broken: it fails from now on.
    """

    def __init__(self) -> None:
        self.graphs = 0
        self.broken = False
        self._inner: Any = lookup_backend("eager")

    def __call__(self, module: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        self.graphs += 1
        if self.broken:
            raise RuntimeError("this compiler fails, to see what happens")
        return self._inner(module, inputs)


def mode(place: Place, name: str) -> Found:
    """Compiles the networks of `kaggle` from nothing, in a mode of `torch.compile`, and times steps beside eager ones.

    What the default mode cannot do is a failure; the project uses no other.
    """
    config = config_of(place, BOTH_WAYS)
    eager = engine(config, place.torch_device)
    compiled = engine(config, place.torch_device, eager.precision)  # what auto chooses may change with other work
    options = {"backend": Counting()} if place.tiny else {"mode": name}
    with _without_caches(), _compiling_with(**options), _warnings() as warned:
        begun = time.perf_counter()
        works = compile_networks(compiled.execution)
        seconds, graphs = time.perf_counter() - begun, _graphs()
        require(works or name != "default", f"does not compile here: {'; '.join(warned)}")
        if not works:
            return Found(f"not possible here, trained without: {'; '.join(warned)[:150]}")
        error = _compared(compiled, eager)
        sides = {"eager": eager.step, "compiled": compiled.step}
        took = in_turns(sides, place.pick(TURNS, 1), warm_up=WARM_UP, device=place.torch_device)
        more = _graphs() - graphs
    if not compiled.execution.compiled:
        require(name != "default", f"given up during training: {'; '.join(warned)}")
        return Found(f"given up during training, which continued without: {'; '.join(warned)[:150]}")
    if name == "default":
        require(more == 0, f"{more} graphs were compiled during training, after {graphs} in {seconds:.0f} s")
    before, after = took["eager"], took["compiled"]
    return Found(
        f"{graphs} graphs in {seconds:.0f} s{f' and {more} later' if more else ''}, {before * 1e3:.1f} => "
        f"{after * 1e3:.1f} ms a step ({before / after:.2f}×), losses off by {error:.0e}",
        {"graphs": graphs, "later": more, "seconds": seconds, "step": took, "precision": compiled.precision},
    )


def recompiling(place: Place) -> Found:
    """Whether ordinary steps, those after an incident (in fp32) and those after a split for memory compile again, and
    whether a compiler that fails then ends the training."""
    counting, one = (
        Counting(),
        engine(config_of(place, BOTH_WAYS), place.torch_device, "bf16" if place.tiny else "auto"),
    )
    with _compiling_with(backend=counting):
        require(_compiled(one), "does not compile here")
        first = counting.graphs
        for _ in range(3):
            one.step()
        require(counting.graphs == first, f"ordinary steps compile again: {first} graphs, then {counting.graphs}")
        counting.broken = True
        _goes_on(one, "after an incident", "fp32")
        require(counting.graphs == first, f"steps in fp32 compile again: {counting.graphs - first} more graphs")
        with out_of_memory_once():
            _goes_on(one, "after a split")
        require(one.execution.parts == 2, f"a split makes {one.execution.parts} parts")
        tried = counting.graphs - first
        _goes_on(one, "two steps after a split")
    told = f"{tried} graphs tried after the split" if tried else "none more after a split"
    return Found(f"{first} graphs, none more after an incident, {told}; a compiler that fails then ends nothing")


def uneven_parts(place: Place) -> Found:
    """Whether a batch of 3 in two parts, as two GPUs have it in `kaggle-top15`, wants more graphs than one of 4."""
    found = {}
    for size in (4, 3):
        counting = Counting()
        words = ["--training.batch_size", str(size), "--training.accumulation", "2"]
        one = engine(config_of(place, "kaggle-top15", words), place.torch_device)
        torch._dynamo.reset()
        with _compiling_with(backend=counting):
            require(_compiled(one), "does not compile here")
            one.step()
        found[size] = counting.graphs
    require(found[3] <= found[4], f"{found[3]} graphs for a batch of 3 in two parts, {found[4]} for one of 4")
    return Found(f"{found[3]} graphs for a batch of 3 in two parts, as for one of 4", {"graphs": found[3]})


def _compiled(one: Engine) -> bool:
    return compile_networks(one.execution)


def _goes_on(one: Engine, when: str, precision: Any = None) -> None:
    before = one.weights()
    for _ in range(2):
        try:
            one.step(precision)
        except Exception as error:
            require(False, f"a compiler that fails {when} ends the training: {type(error).__name__}")
    one.execution.guard.read()
    require(len(one.moved(before)) == 4, f"{when} not all four networks take a step")


def _compared(compiled: Engine, eager: Engine) -> float:
    """How far the losses of the first step are from those of the same step without a compiler.

    Raises:
        Refuted: further than the precision explains.
    """
    losses, expected = compiled.step(), eager.step()
    error = float(((losses - expected) / expected).abs().max())
    require(error <= BOUNDS[eager.precision].losses, f"losses off by {error:.1e} from the eager step")
    return error


def _graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


@contextlib.contextmanager
def _compiling_with(**options: Any) -> Iterator[None]:
    """Gives `torch.compile` further options."""
    with patch.object(torch, "compile", functools.partial(torch.compile, **options)):
        yield


@contextlib.contextmanager
def _without_caches() -> Iterator[None]:
    """Lets the compiler begin from nothing, so that its time is that of a fresh machine."""
    torch._dynamo.reset()
    counters.clear()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with patch.dict(os.environ, {"TORCHINDUCTOR_CACHE_DIR": folder, "TRITON_CACHE_DIR": f"{folder}/triton"}):
            yield


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """What monet warns of."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("monet")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)
