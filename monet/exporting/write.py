"""Everything that is exported of a run's generators, written into files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monet.checkpoint import model
from monet.clock import Clock
from monet.config import to_dict
from monet.display import Display
from monet.errors import InputError
from monet.exporting import card, graph, page
from monet.exporting.libraries import require_onnx
from monet.exporting.made import VARIANTS, GraphMaker, Variant, Way, example_photos, megabytes, table
from monet.exporting.page import DEFAULT_RUNTIME
from monet.files import require_output, write_text, written_whole
from monet.generation.translator import Translator
from monet.models import DIRECTIONS, Direction, Generators

_HUB_MODEL, _HUB_GRAPH = "model.safetensors", "model.onnx"


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is exported, and where to."""

    onnx: Path | None = None
    """An ONNX file; variants get names made of it."""
    safetensors: Path | None = None
    """A model file, which `monet.load` reads."""
    hub: Path | None = None
    """A folder for a model hub: both, and a model card."""
    page: Path | None = None
    """A folder for the page that translates in the browser."""
    direction: Direction = "ab"
    """Of the graphs; a model file holds all generators."""
    variants: tuple[Variant, ...] = ()
    """ONNX files besides the one in fp32."""
    pixels: bool = False
    """ONNX files take and give bytes; see `onnx_graph`."""
    photos: Path | None = None
    """A folder of images with which graphs are compared, and int8 is calibrated; otherwise drawn ones."""
    runtime: Path = DEFAULT_RUNTIME
    """The folder of onnxruntime-web, for the page."""

    def __post_init__(self) -> None:
        if not (self.onnx or self.safetensors or self.hub or self.page):
            raise InputError("nothing to write: give --onnx, --safetensors, --hub or --page")
        for path, suffix, name in ((self.onnx, ".onnx", "--onnx"), (self.safetensors, model.SUFFIX, "--safetensors")):
            if path and path.suffix != suffix:
                raise InputError(f"{name} is {path}: give a name that ends in {suffix}")
        if self.direction not in DIRECTIONS:
            raise InputError(f"direction is {self.direction!r}: give ab or ba")
        if not set(self.variants) <= set(VARIANTS):
            raise InputError(f"variants are {self.variants!r}: give a list of {', '.join(VARIANTS)}, or none")
        if self.variants and not (self.onnx or self.hub):
            raise InputError("--fp16 and --int8 are ONNX files: give --onnx or --hub, too")
        if "int8" in self.variants and self.photos is None:
            raise InputError("--int8 is calibrated on photos: name a folder of them with --photos")

    @property
    def graphs(self) -> list[Path]:
        """The ONNX files in fp32."""
        return [path for path in (self.onnx, self.hub and self.hub / _HUB_GRAPH) if path]

    @property
    def models(self) -> list[Path]:
        """The model files."""
        return [path for path in (self.safetensors, self.hub and self.hub / _HUB_MODEL) if path]


@dataclass(frozen=True)
class Exported:
    """What was exported."""

    files: tuple[Path, ...]
    """All that was written."""
    ways: tuple[Way, ...]
    """PyTorch and the graphs, compared; none where no ONNX file was asked for."""

    def lines(self) -> list[str]:
        """Returns the result in lines."""
        sizes = [f"wrote {path} ({megabytes(path.stat().st_size)})" for path in self.files]
        return sizes + (["", *table(self.ways)] if self.ways else [])


def export(
    generators: Generators,
    options: ExportOptions,
    *,
    title: str,
    score: Mapping[str, Any] | None,
    inputs: Sequence[Path],
    threads: int,
    clock: Clock,
    display: Display | None = None,
) -> Exported:
    """Writes what the options ask for. Graphs are compared with PyTorch first, and nothing is written if they differ.

    Args:
        generators: of a run.
        options: what, and where to.
        title: of the model, for its card and page.
        score: a line of `scores.jsonl`, for the card.
        inputs: files that no output may replace.
        threads: that compute while graphs are timed.
        clock: tells the time.
        display: shows progress.

    Raises:
        InputError: an output would replace something, the direction is not trained, or no photo can be read.
        MonetError: a graph does not give what PyTorch does, a file cannot be written, or a library is missing.
    """
    if options.direction not in generators.by_direction:
        raise InputError(f"direction {options.direction} is not trained in this run: give ab")
    runtime = page.read_runtime(options.runtime) if options.page else None
    if options.graphs or options.page:
        require_onnx()
    _require_outputs(options, [*inputs, *([options.photos] if options.photos else [])])
    display = display or Display()
    display.begin("exporting", 3 + len(options.variants), "part")
    ways, in_bytes = _made(generators, options, threads, clock, display)
    text = card.model_card(
        generators, title, direction=options.direction, pixels=options.pixels, ways=ways, score=score
    )
    files = []
    for path in options.models:
        model.save(path, _contents(generators))
        files.append(path)
    for path in options.graphs:
        for way in ways[1:]:
            files.append(variant_path(path, way.name))
            with written_whole(files[-1]) as file:
                file.write(way.data)
    if options.hub:
        files.append(options.hub / card.NAME)
        write_text(files[-1], text)
    if options.page and runtime and in_bytes:
        page.write_page(options.page, in_bytes.data, runtime, title)
        files += page.outputs(options.page)
    display.advance()
    display.end()
    return Exported(tuple(files), tuple(ways))


def variant_path(path: Path, name: str) -> Path:
    """Returns the file of a variant: `painter.onnx` for fp32, `painter-int8.onnx` for int8."""
    return path if name == "fp32" else path.with_name(f"{path.stem}-{name}{path.suffix}")


def _made(
    generators: Generators, options: ExportOptions, threads: int, clock: Clock, display: Display
) -> tuple[list[Way], Way | None]:
    """Returns PyTorch and the graphs that files are made of, and the page's."""
    ways: list[Way] = []
    if not (options.graphs or options.page):
        return ways, None
    translator = Translator(generators, device=torch.device("cpu"), precision="fp32")
    photos = example_photos(options.photos)
    maker = GraphMaker(generators, translator, options.direction, photos, threads, clock)
    if options.graphs:
        exact = maker.exact(pixels=options.pixels)
        ways += [maker.in_torch(), exact]
        display.advance()
        for name in options.variants:
            ways.append(maker.variant(name, exact, pixels=options.pixels))
            display.advance()
    in_bytes = None
    if options.page:
        in_bytes = ways[1] if ways and options.pixels else maker.exact(pixels=True)
        display.advance()
    return ways, in_bytes


def _contents(generators: Generators) -> dict[str, Any]:
    return {
        "config": to_dict(generators.config),
        "learned": dict(vars(generators.learned)),
        "generators": {name: network.state_dict() for name, network in generators.by_direction.items()},
    }


def _require_outputs(options: ExportOptions, inputs: Sequence[Path]) -> None:
    def is_graph(path: Path) -> bool:
        return graph.own_graph(path) is not None

    kinds: list[tuple[Path, str, Callable[[Path], bool]]] = []
    for path in options.graphs:
        names = ("fp32", *options.variants)
        kinds += [(variant_path(path, name), "an ONNX file of monet's", is_graph) for name in names]
    kinds += [(path, "a model file of monet's", model.is_own_model) for path in options.models]
    if options.hub:
        kinds.append((options.hub / card.NAME, "a model card as monet wrote it", card.is_model_card))
    if options.page:
        kinds += [(path, "a part of such a page", page.is_of_a_page) for path in page.outputs(options.page)]
    for path, what, is_one in kinds:
        require_output(path, what, is_one, inputs)
    places = [Path(os.path.realpath(path)) for path, _, _ in kinds]
    if twice := next((place for place in places if places.count(place) > 1), None):
        raise InputError(f"{twice} would be written twice: give one of the outputs another name")
    if options.hub:
        for name in VARIANTS:
            earlier = variant_path(options.hub / _HUB_GRAPH, name)
            if name not in options.variants and os.path.lexists(earlier):
                raise InputError(f"{earlier} is of an earlier export: add --{name}, or move it away")
