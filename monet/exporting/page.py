"""A page that translates pictures in the browser: a folder of static files, opened from disk or from any web server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from monet.errors import InputError
from monet.files import write_text

PAGE, RUNTIME, MODEL = "index.html", "runtime.js", "model.js"
DEFAULT_RUNTIME = Path("node_modules") / "onnxruntime-web"
"""Where npm puts it."""

_MARK = "written by monet export"
_START = 200
"""Characters in which the mark stands."""
_SCRIPT, _WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


@dataclass(frozen=True)
class Runtime:
    """onnxruntime-web: what a page needs of it."""

    script: str
    wasm: bytes


def read_runtime(folder: Path) -> Runtime:
    """Reads onnxruntime-web.

    Args:
        folder: of the npm package, or of its built files.

    Raises:
        InputError: it is not there, or is something else.
    """
    place = next((place for place in (folder, folder / "dist") if (place / _SCRIPT).is_file()), None)
    if place is None or not (place / _WASM).is_file():
        raise InputError(
            f"no onnxruntime-web in {folder}: npm install onnxruntime-web, or name its folder with --runtime"
        )
    try:
        found = Runtime((place / _SCRIPT).read_text(encoding="utf-8"), (place / _WASM).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"onnxruntime-web in {place} cannot be read: {error}") from error
    if "InferenceSession" not in found.script or not found.wasm.startswith(b"\0asm"):
        raise InputError(f"{place} holds files of onnxruntime-web's names that are something else: install it again")
    return found


def write_page(folder: Path, graph: bytes, runtime: Runtime, title: str) -> None:
    """Writes the page.

    Scripts hold the network and the runtime as text, because a page that is opened from disk may load nothing else.

    Args:
        folder: made if it is not there.
        graph: an ONNX file that takes and gives uint8 (B, H, W, 3).
        runtime: what runs it.
        title: of the page.

    Raises:
        MonetError: a file cannot be written.
    """
    write_text(folder / RUNTIME, _script({"runtime": runtime.script, "wasm": _text(runtime.wasm)}))
    write_text(folder / MODEL, _script({"model": _text(graph)}))
    write_text(folder / PAGE, _template().render(title=title, mark=_MARK))


def outputs(folder: Path) -> Iterator[Path]:
    """Returns the files that `write_page` writes."""
    return (folder / name for name in (PAGE, RUNTIME, MODEL))


def is_of_a_page(path: Path) -> bool:
    """Returns whether a file is one that `write_page` wrote."""
    try:
        with open(path, encoding="utf-8") as file:
            return _MARK in file.read(_START)
    except (OSError, ValueError):
        return False


def _script(values: dict[str, Any]) -> str:
    return f"/* {_MARK} */\nwindow.monet = {{...window.monet, ...{json.dumps(values)}}};\n"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("monet.exporting", ".")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("page.html.jinja")
