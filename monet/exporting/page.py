"""A page that translates pictures in the browser: a folder of static files, opened from disk or from any web server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from monet.errors import InputError
from monet.files import write_text

PAGE, RUNTIME, MODEL = "index.html", "runtime.js", "model.js"
DEFAULT_RUNTIME = Path("node_modules") / "onnxruntime-web"
"""Where npm puts it."""

_MARK = "window.monet"
_SCRIPT, _WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


def find_runtime(folder: Path) -> Path:
    """Returns the folder of onnxruntime-web's built files.

    Args:
        folder: of the npm package.

    Raises:
        InputError: it is not there.
    """
    for place in (folder, folder / "dist"):
        if all((place / name).is_file() for name in (_SCRIPT, _WASM)):
            return place
    raise InputError(f"no onnxruntime-web in {folder}: npm install onnxruntime-web, or name its folder with --runtime")


def write_page(folder: Path, graph: bytes, runtime: Path, title: str) -> None:
    """Writes the page.

    Scripts hold the network and the runtime as text, because a page that is opened from disk may load nothing else.

    Args:
        folder: made if it is not there.
        graph: an ONNX file that takes and gives uint8 (B, H, W, 3).
        runtime: the folder that `find_runtime` returned.
        title: of the page.

    Raises:
        MonetError: a file cannot be written.
    """
    own = {"runtime": (runtime / _SCRIPT).read_text(encoding="utf-8"), "wasm": _text((runtime / _WASM).read_bytes())}
    write_text(folder / RUNTIME, _script(own))
    write_text(folder / MODEL, _script({"model": _text(graph)}))
    write_text(folder / PAGE, _template().render(title=title))


def outputs(folder: Path) -> Iterator[Path]:
    """Returns the files that `write_page` writes."""
    return (folder / name for name in (PAGE, RUNTIME, MODEL))


def is_of_a_page(path: Path) -> bool:
    """Returns whether a file is one that `write_page` wrote."""
    try:
        with open(path, encoding="utf-8") as file:
            return _MARK in (file.read() if path.suffix == ".html" else file.read(len(_MARK)))
    except (OSError, ValueError):
        return False


def _script(values: dict[str, Any]) -> str:
    return f"{_MARK} = {{...{_MARK}, ...{json.dumps(values)}}};\n"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("monet.exporting", ".")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("page.html.jinja")
