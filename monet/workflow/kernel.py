"""The Kaggle kernel: a notebook that holds all of monet, and its metadata. The same sources give the same bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import stat
import zipfile
from pathlib import Path
from typing import Any, Literal

from monet.data.layout import COMPETITION
from monet.errors import InputError
from monet.files import write_text

NOTEBOOK, METADATA = "monet-submission.ipynb", "kernel-metadata.json"
"""What `build` writes."""
UNNAMED = "INSERT_USERNAME/monet-submission"
"""The kernel's name until `push` knows whose it is."""

_TEXT = Path(__file__).with_name("notebook.md")
_FENCE = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^(?=## )", re.MULTILINE)
_SUFFIXES = (".py", ".yaml", ".jinja", ".md")
_LINE = 120

_INSIDE = '''Packed into this cell, so that the notebook needs nothing beside it.

```python
# hidden
import base64
import hashlib
import io
import tempfile
import zipfile

PACKED = """
{packed}
"""

packed = base64.b64decode(PACKED)
if hashlib.sha256(packed).hexdigest() != "{digest}":
    raise SystemExit("this cell is damaged: build the notebook again")
SOFTWARE = Path(tempfile.mkdtemp(prefix="monet-"))
zipfile.ZipFile(io.BytesIO(packed)).extractall(SOFTWARE)
```
'''
_BESIDE = """From the dataset that `python -m pipelines.kernel build --as-dataset` made.

```python
SOFTWARE = next(path.parents[1] for path in INPUT.rglob("pipelines/submit.py"))
```
"""


def pack(root: Path) -> bytes:
    """All of monet's modules and what they read, as a zip.

    Members are in order, have no times and are not compressed: compressors differ from build to build.

    Args:
        root: the folder that holds `monet/` and `pipelines/`.
    """
    files = [
        path
        for folder in ("monet", "pipelines")
        for path in (root / folder).rglob("*")
        if path.suffix in _SUFFIXES and "__pycache__" not in path.parts
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, path in sorted((path.relative_to(root).as_posix(), path) for path in files):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # as on Linux, wherever it is built
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, path.read_bytes().replace(b"\r\n", b"\n"), compress_type=zipfile.ZIP_STORED)
    return buffer.getvalue()


def build(root: Path, folder: Path, *, as_dataset: str | None = None, wheels: str | None = None) -> None:
    """Writes the notebook and its metadata.

    Args:
        root: the folder that holds `monet/` and `pipelines/`.
        folder: where they go.
        as_dataset: the Kaggle dataset (`USER/SLUG`) that holds the software; by default the notebook itself does.
        wheels: the Kaggle dataset that holds wheels and weights.

    Raises:
        MonetError: they cannot be written.
    """
    sources = [name for name in (as_dataset, wheels) if name]
    for name in sources:
        if not re.fullmatch(r"[\w-]+/[\w-]+", name):
            raise InputError(f"{name!r} names no Kaggle dataset: write it as USER/SLUG")
    write_text(folder / NOTEBOOK, _json(notebook(None if as_dataset else pack(root))))
    write_text(folder / METADATA, _json(metadata(sources)))


def notebook(packed: bytes | None) -> dict[str, Any]:
    """The notebook, in Jupyter's format 4.5.

    Args:
        packed: what `pack` returned, or None where a dataset holds it.
    """
    software = _BESIDE
    if packed is not None:
        text = base64.b64encode(packed).decode()
        lines = "\n".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))
        software = _INSIDE.format(packed=lines, digest=hashlib.sha256(packed).hexdigest())
    text = _TEXT.read_text(encoding="utf-8").replace("{{software}}\n", software)
    parts: list[tuple[Literal["code", "markdown"], str]] = []
    for number, part in enumerate(_FENCE.split(text)):
        parts += [("code", part)] if number % 2 else [("markdown", section) for section in _SECTION.split(part)]
    written = [(kind, part.strip()) for kind, part in parts if part.strip()]
    return {
        "cells": [_cell(kind, part, number) for number, (kind, part) in enumerate(written)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def metadata(datasets: list[str]) -> dict[str, Any]:
    """What Kaggle is to know of the kernel."""
    return {
        "id": UNNAMED,
        "title": "monet-submission",
        "code_file": NOTEBOOK,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": True,
        "enable_tpu": False,
        "enable_internet": False,
        "machine_shape": "NvidiaTeslaT4",
        "competition_sources": [COMPETITION],
        "dataset_sources": datasets,
        "kernel_sources": [],
        "model_sources": [],
    }


def _cell(kind: Literal["code", "markdown"], text: str, number: int) -> dict[str, Any]:
    hidden = text.startswith("# hidden\n")
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number:02d}",
        "metadata": {"_kg_hide-input": True, "jupyter": {"source_hidden": True}} if hidden else {},
        "source": text.removeprefix("# hidden\n").splitlines(keepends=True),
    }
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"
