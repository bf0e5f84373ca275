"""The Kaggle kernels: notebooks that hold all of monet, and their metadata. The same sources give the same bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import stat
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from monet.data.layout import COMPETITION
from monet.errors import InputError
from monet.files import require_output, write_text

METADATA = "kernel-metadata.json"
"""Name of the metadata file beside a notebook."""
_UNNAMED = "INSERT_USERNAME"
"""Whose kernel it is until `push` knows."""

_TEXT = "notebook.md"
_SHARED = re.compile(r"^\{\{(## .+)\}\}\n", re.MULTILINE)
"""Stands for a section of the first notebook."""
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


@dataclass(frozen=True)
class Edition:
    """A notebook that `build` writes: the same software with other settings."""

    slug: str
    """The kernel's name."""
    folder: str
    """Where it stands, in the folder that is built."""
    recipe: str
    """The recipe that it trains."""
    internet: bool
    """Whether it may use the internet, unless that is decided otherwise."""
    about: str
    """Its title and what it does, in Markdown."""
    settings: str
    """Description of its settings, in Markdown."""
    text: str = _TEXT
    """The file beside this one that its cells are made of."""
    packs: tuple[str, ...] = ("monet", "pipelines")
    """The folders and files that it holds."""

    @property
    def notebook(self) -> str:
        """The name of the file."""
        return f"{self.slug}.ipynb"


_ABOUT = """
Trains an unpaired image translator ([CycleGAN](https://arxiv.org/abs/1703.10593)) for as long as this kernel may run,
paints every photo, writes `images.zip`, checks it as the competition will, and scores it. It always ends in time: a
timed probe tells how long the painting takes on this machine, and that much is left.
"""
SHORT = Edition(
    slug="monet-submission",
    folder=".",
    recipe="kaggle",
    internet=False,
    about=f"""# Photos into paintings, scored before they are sent
{_ABOUT}
The learning rate is 0 at the end.""",
    settings="""`kaggle` fills the time with a small, fast generator; `kaggle-top15` is the solution that reached the
top 15 %. Five hours count for the whole kernel; the quarter of an hour between is for Kaggle to save the output. A
training over several kernels has a `HORIZON`, the training time of all of them together: add this kernel's output as an
input of the next one.""",
)
"""One kernel, from the photos to a submission."""
LONG = Edition(
    slug="monet-long",
    folder="long",
    recipe="kaggle-top15-long",
    internet=True,  # for ClearML, which Kaggle's image lacks, and its keys
    about=f"""# Photos into paintings, 155 epochs over several kernels
{_ABOUT}
One kernel does not hold all epochs. Each ends with a whole `images.zip` and with `run/checkpoints/last.pt`. To
continue, add this notebook's output as its own input (*Add input* → *Your work*), and run it again: it sees the pairs
that one long run would see. The learning rate is 0 after the last epoch; until then the lines below call the decay
unfinished.""",
    settings="""155 epochs of 1,000 pairs. Five hours count for each kernel; the quarter of an hour between is for
Kaggle to save the output. The recipe has a horizon of 14h15m of training time, three kernels' worth, for a machine that
does not reach all the epochs in it; `HORIZON` gives another one. ClearML follows the run.""",
)
"""A training over several kernels, followed in ClearML."""
GPU = Edition(
    slug="monet-gpu",
    folder="gpu",
    recipe="kaggle",
    internet=True,  # for torch-fidelity and the weights of Inception, which Kaggle's image lacks
    about="""# What there is to learn from a GPU in 25 minutes

Checks whatever a CPU cannot show (precisions, refused steps, little memory, compiled networks, two GPUs), measures what
is slow there, and trains, paints and scores in the time that is left. Each part says one line and is stopped at its
limit.""",
    settings="""`ONLY` names parts, such as `["machine", "split"]`; they run even if they are done. An earlier
output of this notebook among its inputs is resumed: what is done there is not asked again.""",
    text="notebook-gpu.md",
    packs=("monet", "pipelines", "tests/__init__.py", "tests/benchmarks", "tests/gpu"),
)
"""Not for the competition: tells what works on Kaggle's GPUs."""
EDITIONS = (SHORT, LONG, GPU)
"""The notebooks that `build` writes."""


def pack(root: Path, folders: Sequence[str] = SHORT.packs) -> bytes:
    """All of monet's modules and what they read, as a zip.

    Members are in order, have no times and are not compressed: compressors differ from build to build.

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
    """Whether a file is a notebook, or the metadata of one of these kernels."""
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
        raise InputError(f"{word!r} names no Kaggle {what}: write it as USER/SLUG")


def notebook(packed: bytes | None, edition: Edition = SHORT) -> dict[str, Any]:
    """The notebook, in Jupyter's format 4.5.

    Args:
        packed: what `pack` returned, or None where a dataset holds it.
        edition: which one.
    """
    software = _BESIDE
    if packed is not None:
        text = base64.b64encode(packed).decode()
        lines = "\n".join(text[start : start + _LINE] for start in range(0, len(text), _LINE))
        software = _INSIDE.format(packed=lines, digest=hashlib.sha256(packed).hexdigest())
    text = _SHARED.sub(lambda match: _section(match[1]), _read(edition.text)).replace("{{software}}\n", software)
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


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _section(heading: str) -> str:
    """A section of the first notebook, with its heading."""
    return next(section for section in _SECTION.split(_read(_TEXT)) if section.startswith(f"{heading}\n"))


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
