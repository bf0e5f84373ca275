"""Whether another runtime gives the same pictures, and how fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from monet.clock import Clock
from monet.data.pixels import HALF_RANGE
from monet.exporting.graph import INPUT
from monet.exporting.libraries import library
from monet.generation.translator import Translator
from monet.models import Direction
from monet.sizes import SIDE

SIZES = ((SIDE, SIDE), (64, 64), (37, 211), (130, 100), (17, 16))
"""Heights and widths at which a graph is compared."""
BATCHES = (1, 2)
"""Numbers of images that it is given at a time."""
MOST = 1e-3
"""Difference in −1…1 from which on a graph in fp32 is refused."""
MOST_LEVELS = 1
"""The same in 8-bit grey levels: rounding may go either way."""

_TIMED_SECONDS = 2.0
_LEAST_TIMES = 3


@dataclass(frozen=True)
class Difference:
    """Between the output of a graph and that of PyTorch, in 8-bit grey levels."""

    mean: float
    """Over all values."""
    most: float
    """Of any value."""


class Session:
    """A graph in onnxruntime, on the CPU.

    Args:
        graph: an `onnx.ModelProto`.
        threads: that compute.
    """

    def __init__(self, graph: Any, threads: int) -> None:
        runtime = library("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]:
        """Runs the graph."""
        return self._session.run(None, {INPUT: images})[0]


def batches(pictures: Sequence[Image.Image], *, pixels: bool) -> list[NDArray[Any]]:
    """Returns inputs of a graph of all sizes and numbers that are compared.

    Args:
        pictures: of any size; each is cut and enlarged to what is asked.
        pixels: as uint8 (B, H, W, 3); otherwise as float32 (B, 3, H, W) from −1 to 1.
    """
    found, number = [], 0
    for height, width in SIZES:
        for count in BATCHES:
            chosen = [pictures[(number + place) % len(pictures)] for place in range(count)]
            number += count
            resized = [np.asarray(picture.convert("RGB").resize((width, height))) for picture in chosen]
            found.append(as_input(np.stack(resized), pixels=pixels))
    return found


def as_input(images: NDArray[np.uint8], *, pixels: bool) -> NDArray[Any]:
    """(B, H, W, 3) uint8 => the same, or float32 (B, 3, H, W) from −1 to 1."""
    if pixels:
        return images
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2) / np.float32(HALF_RANGE) - 1, dtype=np.float32)


def difference(
    session: Session, translator: Translator, direction: Direction, inputs: Sequence[NDArray[Any]]
) -> Difference:
    """Compares a graph with what `translator` makes of the same images."""
    total, count, most = 0.0, 0, 0.0
    for images in inputs:
        expected = reference(translator, direction, images)
        found = session(images)
        levels = np.abs(found.astype(np.float64) - expected.astype(np.float64))
        levels *= 1 if images.dtype == np.uint8 else HALF_RANGE
        total, count = total + levels.sum(), count + levels.size
        most = float(np.maximum(most, levels.max()))  # what is no number stays
    return Difference(total / count, most)


def reference(translator: Translator, direction: Direction, images: NDArray[Any]) -> NDArray[Any]:
    """Returns what PyTorch makes of the input of a graph."""
    if images.dtype == np.uint8:
        return translator.translate(images, direction)
    return translator.translate(torch.from_numpy(images), direction).numpy()


def pictures_a_second(translate: Callable[[NDArray[Any]], Any], images: NDArray[Any], clock: Clock) -> float:
    """Returns how many batches of images a second are translated: the median of some seconds.

    Args:
        translate: takes the batch.
        images: one batch.
        clock: tells the time.
    """
    translate(images)
    times: list[float] = []
    while len(times) < _LEAST_TIMES or sum(times) < _TIMED_SECONDS:
        begin = clock()
        translate(images)
        times.append(max(clock() - begin, 1e-9))
    return 1 / float(np.median(times))
