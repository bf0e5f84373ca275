"""The notebook of a Kaggle kernel, made of its text and of all of monet. The same sources give the same contents."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import lzma
import re
import stat
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from monet.kernel.editions import SHORT, Edition

_SHARED = re.compile(r"^\{\{(## .+)\}\}\n", re.MULTILINE)
"""Stands for a section of the submission's notebook."""
_FENCE = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^(?=## )", re.MULTILINE)
_SUFFIXES = (".py", ".yaml", ".jinja", ".md")
"""Kinds of files that are packed."""
_LINE = 120
"""Characters in a line of the packed text."""
_PACKED = 'PACKED = """'
"""Stands before the software in its cell."""


def pack(root: Path, folders: Sequence[str] = SHORT.packs) -> bytes:
    """Returns the sources in some folders, as a zip.

    Members are in order and have no times. They are not compressed one by one: the notebook compresses the whole.

    Args:
        root: the folder that holds `monet/` and `pipelines/`.
        folders: those in it that are packed; files, too.
    """
    files = [
        path
        for folder in folders
        for path in ((root / folder).rglob("*") if (root / folder).is_dir() else [root / folder])
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


def notebook(packed: bytes | None, edition: Edition = SHORT) -> dict[str, Any]:
    """Returns the notebook, in Jupyter's format 4.5.

    Args:
        packed: what `pack` returned, or None where a dataset holds it.
        edition: which one.
    """
    text = _SHARED.sub(lambda match: _section(match[1]), _read(edition.text))
    text = text.replace("{{software}}\n", _software(packed))
    for name, value in asdict(edition).items():
        text = text.replace("{{" + name + "}}", str(value))
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


def contents(built: str) -> Any:
    """Returns what a notebook, or its metadata, holds, with the software unpacked: compressors differ from build to
    build, so that notebooks of the same sources may differ in their bytes.

    Raises:
        ValueError: it is damaged.
    """
    values = json.loads(built)
    for cell in values.get("cells", []):
        source = "".join(cell["source"])
        before, *packed = source.split(_PACKED, 1)
        if packed:
            text, _, after = packed[0].partition('"""')
            try:
                cell["source"] = [before, lzma.decompress(base64.b64decode(text)), after]
            except lzma.LZMAError as error:
                raise ValueError(f"{cell['id']} is damaged") from error
    return values


def _software(packed: bytes | None) -> str:
    """Returns how the notebook finds the software, in Markdown."""
    if packed is None:
        return _read("cells/from_dataset.md")
    text = base64.b64encode(lzma.compress(packed, preset=9)).decode()
    lines = "\n".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))
    _, about, code = _read("cells/unpack.py").split('"""', 2)
    code = code.strip().replace("{{packed}}", lines).replace("{{digest}}", hashlib.sha256(packed).hexdigest())
    return f"{about}\n\n```python\n{code}\n```\n"


def _section(heading: str) -> str:
    """Returns a section of the submission's notebook, with its heading."""
    return next(section for section in _SECTION.split(_read(SHORT.text)) if section.startswith(f"{heading}\n"))


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _cell(kind: Literal["code", "markdown"], text: str, number: int) -> dict[str, Any]:
    hidden = text.startswith("# hidden\n")
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number:02d}",
        "metadata": {"_kg_hide-input": True, "jupyter": {"source_hidden": True}} if hidden else {},
        "source": text.removeprefix("# hidden\n").splitlines(keepends=True),
    }
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
