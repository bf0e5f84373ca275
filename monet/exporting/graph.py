"""A generator as an ONNX graph, and the variants of it with smaller numbers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from monet.exporting.libraries import library
from monet.exporting.network import AnySize, InPixels
from monet.generation.padding import Padding
from monet.models import Direction, Generators

INPUT, OUTPUT = "images", "translated"
KEY = "monet"
"""Of the metadata of a graph; its value is JSON."""

_FACTS = {"direction", "pixels", "generator", "digest"}
_BLANK = "0" * 64
"""Stands for the digest while it is computed."""
_EXAMPLE = (2, 3, 48, 80)
"""The shape that a graph is traced with: no two of its numbers are equal, and none is 1, so that none is taken for
fixed."""
_FEW_CHANNELS = 12
"""Convolutions from or to as few see or make colours, or wavelet coefficients: 8 bits are too few for these."""


def onnx_graph(generators: Generators, direction: Direction, *, pixels: bool) -> Any:
    """Returns a generator as an ONNX graph of images of any number, height and width.

    Args:
        generators: of a run.
        direction: which of them.
        pixels: of uint8 (B, H, W, 3) instead of float (B, 3, H, W) from −1 to 1.

    Returns:
        An `onnx.ModelProto`, opset 18, whose input is called `images` and whose output `translated`.

    Raises:
        MonetError: onnx or onnxscript is not installed.
    """
    library("onnxscript")
    inner = AnySize(generators.by_direction[direction], Padding.of(generators.config.model))
    network: torch.nn.Module = inner
    images = torch.linspace(-1, 1, int(np.prod(_EXAMPLE))).reshape(_EXAMPLE)
    free = (0, 2, 3)
    if pixels:
        network = InPixels(inner)
        images, free = ((images + 1) * 100).to(torch.uint8).permute(0, 2, 3, 1).contiguous(), (0, 1, 2)
    with _quietly():
        program = torch.onnx.export(
            network.eval(),
            (images,),
            dynamo=True,
            dynamic_shapes=(dict.fromkeys(free, torch.export.Dim.DYNAMIC),),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=18,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    _tidy(graph, free)
    about = {"direction": direction, "pixels": pixels, "generator": generators.config.model.generator}
    library("onnx").helper.set_model_props(graph, {KEY: json.dumps(about)})
    return graph


def _tidy(graph: Any, free: tuple[int, ...]) -> None:
    """Names the sizes that are free, and removes the traces of the sources that a graph is made of: they hold the paths
    of who exported it."""
    for part in (*graph.graph.input, *graph.graph.output):
        for place, name in zip(free, ("batch", "height", "width"), strict=True):
            part.type.tensor_type.shape.dim[place].dim_param = name
    del graph.graph.value_info[:]
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.graph.metadata_props[:]
    del graph.metadata_props[:]


def in_fp16(graph: Any) -> Any:
    """Returns the graph with weights and sums of 16 bits; normalisation, input and output stay as they are."""
    onnx, float16 = library("onnx"), library("onnxruntime.transformers.float16")
    copied = onnx.ModelProto()
    copied.CopyFrom(graph)
    blocked = [*float16.DEFAULT_OP_BLOCK_LIST, "InstanceNormalization"]
    with _quietly():
        return float16.convert_float_to_float16(copied, keep_io_types=True, op_block_list=blocked)


def in_int8(graph: Any, examples: Sequence[NDArray[Any]]) -> Any:
    """Returns the graph with convolutions of 8 bits, but for those from and to colours.

    Args:
        graph: in fp32.
        examples: inputs of the graph; the ranges of values inside of it are those that they have.
    """
    onnx, tools = library("onnx"), library("onnxruntime.quantization")
    preparing = library("onnxruntime.quantization.shape_inference")
    with tempfile.TemporaryDirectory() as folder, _quietly():
        exact, prepared, quantized = (Path(folder) / f"{name}.onnx" for name in ("exact", "prepared", "int8"))
        exact.write_bytes(graph.SerializeToString())
        preparing.quant_pre_process(str(exact), str(prepared), skip_symbolic_shape=True)
        tools.quantize_static(
            str(prepared),
            str(quantized),
            _reader(examples),
            quant_format=tools.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_of_colours(onnx.load(str(prepared))),
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
        )
        return onnx.load(str(quantized))


def parsed(data: bytes) -> Any:
    """Returns the graph that a file holds."""
    return library("onnx").load_model_from_string(data)


def sealed(graph: Any) -> bytes:
    """Returns a graph that `onnx_graph` made, or a variant of it, as the bytes of a file; a SHA-256 over them is in its
    metadata."""
    fact = next(item for item in graph.metadata_props if item.key == KEY)
    fact.value = json.dumps({**json.loads(fact.value), "digest": _BLANK})
    data: bytes = graph.SerializeToString()
    return _with_digest(data, _BLANK, hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class OwnGraph:
    """A graph that `export` wrote."""

    graph: Any
    """An `onnx.ModelProto`."""
    direction: Direction
    pixels: bool
    """It takes and gives bytes; see `onnx_graph`."""
    whole: bool
    """No bit of the file is another than when it was written, as far as its digest tells; earlier files have none."""


def own_graph(path: Path) -> OwnGraph | None:
    """Returns a graph with what its metadata tell; None where the file is none that `export` wrote."""
    with contextlib.suppress(Exception):
        data = path.read_bytes()
        graph = parsed(data)
        about = next(json.loads(item.value) for item in graph.metadata_props if item.key == KEY)
        direction: Direction = "ba" if about.get("direction") == "ba" else "ab"
        whole = set(about) <= _FACTS and ("digest" not in about or _is_whole(data, about["digest"]))
        return OwnGraph(graph, direction, bool(about.get("pixels")), whole)
    return None


def _is_whole(data: bytes, digest: str) -> bool:
    return hashlib.sha256(_with_digest(data, digest, _BLANK)).hexdigest() == digest


def _with_digest(data: bytes, old: str, new: str) -> bytes:
    """Returns the bytes of a graph with another digest; its metadata are at their end."""
    start = data.rindex(old.encode())
    return data[:start] + new.encode() + data[start + len(old) :]


def _reader(examples: Sequence[NDArray[Any]]) -> Any:
    class Reader(library("onnxruntime.quantization").CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(examples)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            images = next(self._left, None)
            return None if images is None else {INPUT: images}

    return Reader()


def _of_colours(graph: Any) -> list[str]:
    weights = {value.name: value.dims for value in graph.graph.initializer}
    return [
        node.name
        for node in graph.graph.node
        if node.op_type == "Conv" and min(weights.get(node.input[1], (0, 0))[:2]) <= _FEW_CHANNELS
    ]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """What the libraries say of their own ways is for no user."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
