"""ONNX graphs: the same images as PyTorch's, of any number and size."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monet.config import ModelConfig
from monet.exporting import graph
from monet.exporting.check import Session
from monet.exporting.libraries import library
from monet.exporting.network import AnySize
from monet.generation.padding import Padding
from monet.generation.translator import Translator
from tests.conftest import picture
from tests.generators import generators_of

pytest.importorskip("onnxruntime")

NETWORKS = {
    "resnet": ModelConfig(width=8, residual_blocks=2),
    "resize": ModelConfig(width=8, residual_blocks=1, downsamplings=3, upsample="resize", skip=True),
    "unet": ModelConfig(generator="unet", width=8, downsamplings=4),
    "wavelet": ModelConfig(generator="wavelet", width=8, residual_blocks=2, downsamplings=1, skip=True),
    "wavelet at a quarter": ModelConfig(generator="wavelet", width=8, residual_blocks=1, downsamplings=2),
    "batch": ModelConfig(width=8, residual_blocks=1, norm="batch"),
}
CHANGE = {"batch": 2.0}  # its statistics are those of no training: more would leave black and white alone
SIZES = [(256, 256), (64, 80), (37, 211), (17, 16), (5, 30)]


def images(count: int, height: int, width: int) -> np.ndarray[Any, Any]:
    """(B, H, W, 3) uint8."""
    return np.stack([np.asarray(picture(seed, (width, height))) for seed in range(count)])


def as_floats(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) / np.float32(127.5) - 1, dtype=np.float32)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_graph_gives_what_pytorch_gives_at_any_size_and_number(name: str) -> None:
    generators = generators_of(NETWORKS[name], change=CHANGE.get(name, 4.0))
    translator = Translator(generators, device=torch.device("cpu"), precision="fp32")
    session = Session(graph.onnx_graph(generators, "ba", pixels=False), threads=1)
    for height, width in SIZES:
        for count in (1, 3):
            given = as_floats(images(count, height, width))
            expected = translator.translate(torch.from_numpy(given), "ba").numpy()
            found = session(given)
            assert found.shape == given.shape
            assert np.abs(found - expected).max() < 1e-3, (height, width, count)
    assert session(as_floats(images(1, 1, 1))).shape == (1, 3, 1, 1)


def test_a_graph_of_bytes_gives_the_bytes_that_pytorch_gives() -> None:
    generators = generators_of(NETWORKS["wavelet"])
    translator = Translator(generators, device=torch.device("cpu"), precision="fp32")
    session = Session(graph.onnx_graph(generators, "ab", pixels=True), threads=1)
    for height, width in SIZES:
        given = images(2, height, width)
        found, expected = session(given), translator.translate(given)
        assert found.dtype == np.uint8
        assert found.shape == given.shape
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
        assert np.abs(found.astype(int) - given.astype(int)).max() > 5


@pytest.mark.parametrize("name", NETWORKS)
def test_the_usual_layers_compute_the_same_and_leave_the_generator_alone(name: str) -> None:
    generator = generators_of(NETWORKS[name]).by_direction["ab"]
    kinds = [type(module) for module in generator.modules()]
    given = torch.from_numpy(as_floats(images(2, 64, 48)))
    with torch.no_grad():
        before = generator(given)
        usual = AnySize(generator, Padding.of(NETWORKS[name])).eval()(given)
        assert torch.equal(generator(given), before)
    assert [type(module) for module in generator.modules()] == kinds
    assert torch.allclose(usual, before.clamp(-1, 1), atol=1e-4)


def test_smaller_numbers_give_nearly_the_same_in_half_and_a_quarter_of_the_size() -> None:
    generators = generators_of(ModelConfig(width=16, residual_blocks=3), change=2.0)
    exact = graph.onnx_graph(generators, "ab", pixels=False)
    examples = [as_floats(images(1, 64, 64) // (1 + place)) for place in range(2)]
    given = as_floats(images(2, 37, 70))
    expected = Session(exact, threads=1)(given)
    full = len(exact.SerializeToString())
    for made, size, off in ((graph.in_fp16(exact), 0.6, 0.01), (graph.in_int8(exact, examples), 0.5, 0.1)):
        assert len(made.SerializeToString()) < size * full
        found = Session(made, threads=1)(given)
        assert found.dtype == np.float32
        assert 0 < np.abs(found - expected).mean() < off
    assert len(exact.SerializeToString()) == full
    kinds = [node.op_type for node in graph.in_int8(exact, examples).graph.node]
    assert kinds.count("QuantizeLinear") > 3


def test_a_graph_knows_what_it_is() -> None:
    made = graph.onnx_graph(generators_of(NETWORKS["batch"]), "ba", pixels=True)
    (given,), (returned,) = made.graph.input, made.graph.output
    assert (given.name, returned.name) == ("images", "translated")
    dims = [[dim.dim_param or dim.dim_value for dim in part.type.tensor_type.shape.dim] for part in (given, returned)]
    assert dims == [["batch", "height", "width", 3]] * 2
    (fact,) = made.metadata_props
    assert json.loads(fact.value) == {"direction": "ba", "pixels": True, "generator": "resnet"}


def test_whatever_bit_of_a_graph_flips_it_is_found_out(tmp_path: Path) -> None:
    made = graph.onnx_graph(generators_of(NETWORKS["batch"]), "ba", pixels=True)
    data, path, chance = graph.sealed(made), tmp_path / "a.onnx", random.Random(0)
    path.write_bytes(data)
    known = graph.own_graph(path)
    assert known is not None
    assert (known.whole, known.direction, known.pixels) == (True, "ba", True)
    places = [chance.randrange(len(data)) for _ in range(150)] + list(range(len(data) - 250, len(data)))
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        known = graph.own_graph(path)
        assert known is None or not known.whole, place


def test_smaller_graphs_have_a_digest_too_and_those_of_earlier_versions_are_read_without(tmp_path: Path) -> None:
    made, path = graph.onnx_graph(generators_of(NETWORKS["resnet"]), "ab", pixels=False), tmp_path / "a.onnx"
    for each in (made, graph.in_fp16(made), graph.in_int8(made, [as_floats(images(1, 64, 64))])):
        path.write_bytes(each.SerializeToString())
        known = graph.own_graph(path)
        assert known is not None
        assert known.whole
        assert b'"digest"' not in path.read_bytes()
        path.write_bytes(graph.sealed(each))
        known = graph.own_graph(path)
        assert known is not None
        assert known.whole
        assert path.read_bytes().count(b'"digest"') == 1


def test_onnxruntime_is_told_to_tell_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("onnxruntime.disable_telemetry_events", lambda: told.append("nothing"))
    for name in ("onnxruntime", "onnxruntime.quantization"):
        library(name)
    library("onnx")
    assert told == ["nothing", "nothing"]


def test_a_graph_does_not_tell_where_it_was_made() -> None:
    made = graph.onnx_graph(generators_of(NETWORKS["wavelet"]), "ab", pixels=False)
    for each in (made, graph.in_fp16(made), graph.in_int8(made, [as_floats(images(1, 64, 64))])):
        data = each.SerializeToString()
        assert str(Path(__file__).parents[2]).encode() not in data
        assert b'.py"' not in data
