"""Builds the Kaggle kernels: notebooks that hold all of monet, and their metadata."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from monet.data.layout import COMPETITION
from monet.errors import InputError
from monet.files import require_output, write_text
from monet.kernel.editions import EDITIONS, SHORT, Edition
from monet.kernel.notebook import notebook, pack

METADATA = "kernel-metadata.json"
"""Name of the metadata file beside a notebook."""
_UNNAMED = "INSERT_USERNAME"
"""Stands for the user's name until `push` fills it in."""


def build(
    root: Path, folder: Path, *, as_dataset: str | None = None, wheels: str | None = None, internet: bool | None = None
) -> list[str]:
    """Writes the notebooks and their metadata.

    Args:
        root: the folder that holds `monet/` and `pipelines/`; an edition that packs what is not there is left out, as
            `tests/` is not where monet is installed.
        folder: where they go.
        as_dataset: the Kaggle dataset (`USER/SLUG`) that holds the software; by default the notebook itself does.
        wheels: the Kaggle dataset that holds wheels and weights.
        internet: whether the kernels may use it; each as it is meant by default.

    Returns:
        The names of the files, in that folder.

    Raises:
        InputError: something else is there under their names.
        MonetError: they cannot be written.
    """
    sources = [name for name in (as_dataset, wheels) if name]
    for name in sources:
        require_address(name, "dataset")
    contents = {
        f"{edition.folder}/{name}".removeprefix("./"): _json(content)
        for edition in EDITIONS
        if all((root / packed).exists() for packed in edition.packs)
        for name, content in (
            (edition.notebook, notebook(None if as_dataset else pack(root, edition.packs), edition)),
            (METADATA, metadata(sources, edition, internet)),
        )
    }
    for name in contents:
        require_output(folder / name, "one of this kernel's files", is_built)
    for name, content in contents.items():
        write_text(folder / name, content)
    return list(contents)


def is_built(path: Path) -> bool:
    """Returns whether a file is a notebook, or the metadata of one of these kernels."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and (
        "cells" in values or values.get("code_file") in {edition.notebook for edition in EDITIONS}
    )


def require_address(word: str, what: str) -> None:
    """Checks that a word names something on Kaggle.

    Raises:
        InputError: it is not of the form `USER/SLUG`.
    """
    if not re.fullmatch(r"[\w-]+/[\w-]+", word):
        raise InputError(f"{word!r} is not a Kaggle {what}: write it as USER/SLUG")


def metadata(datasets: list[str], edition: Edition = SHORT, internet: bool | None = None) -> dict[str, Any]:
    """Returns Kaggle's metadata of the kernel."""
    return {
        "id": f"{_UNNAMED}/{edition.slug}",
        "title": edition.slug,
        "code_file": edition.notebook,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": True,
        "enable_tpu": False,
        "enable_internet": edition.internet if internet is None else internet,
        "machine_shape": "NvidiaTeslaT4",
        "competition_sources": [COMPETITION],
        "dataset_sources": datasets,
        "kernel_sources": [],
        "model_sources": [],
    }


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"
