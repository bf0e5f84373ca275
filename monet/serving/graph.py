"""A generator in an ONNX file that `export` wrote, as one that translates pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from monet.data.pixels import Pixels, to_pixels
from monet.errors import InputError, MonetError, first_line
from monet.exporting.check import Session, as_input
from monet.exporting.graph import own_graph
from monet.exporting.libraries import library
from monet.files import require_regular
from monet.models import Direction


class GraphTranslator:
    """A graph in onnxruntime, on the CPU.

    Args:
        path: a file `.onnx` that `export` wrote, with or without `--pixels`.

    Raises:
        InputError: it is another program's, or damaged.
        MonetError: onnx or onnxruntime is not installed.
    """

    def __init__(self, path: Path) -> None:
        library("onnxruntime")
        require_regular(path)
        known = own_graph(path)
        if known is None:
            raise InputError(f"{path} is no graph that export wrote: give one, or a checkpoint")
        if not known.whole:
            raise InputError(f"graph {path} is damaged: what it holds is not what was written; export it again")
        self._in_pixels = known.pixels
        self.directions: tuple[Direction, ...] = (known.direction,)
        """The one that it holds."""
        try:
            self._session = Session(known.graph, threads=1)
        except MonetError:
            raise
        except Exception as error:  # onnx and onnxruntime raise nearly anything on damaged files
            raise InputError(f"graph {path} is damaged: {first_line(error)}") from error

    def translate(self, pixels: Pixels, direction: Direction) -> Pixels:
        """(H, W, 3) uint8 => the same.

        Raises:
            ValueError: the graph is of the other direction.
            MonetError: it gives values that are not numbers.
        """
        if direction not in self.directions:
            raise ValueError(f"direction is {direction!r}: expected {self.directions[0]!r}")
        translated = self._session(as_input(pixels[None], pixels=self._in_pixels))[0]
        if self._in_pixels:
            return np.asarray(translated)
        if not np.isfinite(translated).all():
            raise MonetError("the graph turns this picture into values that are not finite: use another one")
        return to_pixels(torch.from_numpy(translated[None]))[0]
