"""Runs a built notebook here as Kaggle would: elsewhere, on inputs it may only read, offline, against the clock."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from monet import archive
from monet.archive import Rules
from monet.data.layout import COMPETITION
from monet.errors import InputError
from monet.files import write_json
from monet.kernel import offline

Mount = Literal["competitions", "plain"]
"""Where Kaggle puts a competition's data: `/kaggle/input/competitions/SLUG`, or `/kaggle/input/SLUG` as it used to."""

MOST_FILES, MOST_BYTES = 500, 20 * 10**9
"""Bytes that a kernel may leave in its output."""

_SECRET = re.compile(
    r"(?i)\b(?:api[_-]?key|access[_-]?key|secret|token|password|passwd)\b[\"']?\s*[:=]\s*[\"'][^\"'\s]{8,}[\"']"
    r"|\bKGAT_[0-9a-f]{16,}|\bhf_[A-Za-z0-9]{20,}|\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


@dataclass
class Checked:
    """Result of running the notebook."""

    mount: Mount
    seconds: float = 0.0
    """From the first cell to the last."""
    images: int = 0
    """In the archive."""
    files: int = 0
    """Left in the working directory."""
    size: int = 0
    """Bytes of them."""
    problems: list[str] = field(default_factory=list)
    """Problems that Kaggle would have with it."""


def static_problems(notebook: Any, paths: Sequence[str]) -> list[str]:
    """Finds text that no cell may hold: paths of the machine that built the notebook, or anything like a credential.

    Args:
        notebook: in Jupyter's format.
        paths: of this machine, such as `this_machine` returns them.
    """
    problems = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        problems += [f"{cell['id']} holds {word}, of this machine" for word in paths if word in text]
        if found := _SECRET.search(text):
            problems.append(f"{cell['id']} holds what looks like a credential: {found.group()[:12]}…")
    return problems


def run_notebook(
    notebook: Any,
    data: Path,
    mount: Mount,
    *,
    settings: dict[str, Any],
    inputs: Sequence[Path],
    absent: Sequence[str],
    limit: float,
    rules: Rules,
    environment: Mapping[str, str],
    output: Path,
    keep_in: Path | None = None,
) -> Checked:
    """Runs the notebook from its first cell to its last in a place of its own.

    Args:
        notebook: in Jupyter's format; what it shows is written to `output`.
        data: the competition's folder.
        mount: where the input tree has it.
        settings: values for the names of the first code cell.
        inputs: further folders of the input tree, such as a dataset of wheels or an earlier kernel's output.
        absent: modules that the image is to lack.
        limit: seconds.
        rules: that the archive must keep.
        environment: variables that the notebook inherits, less its own.
        output: the executed notebook goes there.
        keep_in: what is left in the working directory goes there.

    Raises:
        InputError: nbclient and ipykernel are not installed.
    """
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"kernel check needs nbclient and ipykernel ({error}): pip install nbclient ipykernel"
        ) from None
    checked = Checked(mount)
    with tempfile.TemporaryDirectory(prefix="kaggle-") as place:
        tree, working = Path(place) / "input", Path(place) / "working"
        working.mkdir()
        mounted = tree / "competitions" / COMPETITION if mount == "competitions" else tree / COMPETITION
        _link_tree([(data, mounted), *((folder, tree / folder.name) for folder in inputs)])
        before = _listing(tree)
        executed = _with_settings(notebook, {**settings, "INPUT": tree, "WORKING": working})
        _execute(executed, checked, working, limit, _inherited(environment, Path(place), absent), output)
        if _listing(tree) != before:
            checked.problems.append("the input tree was written to: on Kaggle it is read-only")
        _look_at_output(checked, working, rules)
        if keep_in:
            shutil.copytree(working, keep_in, dirs_exist_ok=True)
    return checked


def _execute(
    notebook: Any, checked: Checked, working: Path, limit: float, environment: dict[str, str], output: Path
) -> None:
    """Runs every cell, and writes down what they showed."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    client = NotebookClient(
        notebook,
        timeout=int(limit),
        kernel_name="python3",
        resources={"metadata": {"path": str(working)}},
        extra_arguments=["--log-level=ERROR"],
    )
    begun = time.monotonic()
    try:
        client.execute(env=environment)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        checked.problems.append(f"the notebook does not run through: {str(error).strip().splitlines()[-1][:300]}")
    checked.seconds = time.monotonic() - begun
    output.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, output)  # type: ignore[no-untyped-call]
    if checked.seconds > limit:
        checked.problems.append(f"it took {checked.seconds:.0f} s of {limit:.0f}")


def _look_at_output(checked: Checked, working: Path, rules: Rules) -> None:
    files = [path for path in working.rglob("*") if path.is_file()]
    checked.files, checked.size = len(files), sum(path.stat().st_size for path in files)
    if checked.files > MOST_FILES:
        checked.problems.append(f"{checked.files} files are left: Kaggle keeps {MOST_FILES}")
    if checked.size > MOST_BYTES:
        checked.problems.append(f"{checked.size / 1e9:.1f} GB are left: Kaggle keeps {MOST_BYTES / 1e9:.0f}")
    try:
        report = archive.validate(working / "images.zip", rules)
    except InputError as error:
        checked.problems.append(str(error))
        return
    checked.images = report.num_images
    checked.problems += [f"images.zip: {problem.name} {problem.message}" for problem in report.problems[:5]]


def _with_settings(notebook: Any, values: dict[str, Any]) -> Any:
    """Returns the notebook with a cell behind its first code cell that gives its settings other values."""
    import nbformat

    copy: Any = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    for cell in copy.cells:
        cell.source = "".join(cell.source)
    first = next(index for index, cell in enumerate(copy.cells) if cell.cell_type == "code")
    lines = [
        f"{name} = Path({str(value)!r})" if isinstance(value, Path) else f"{name} = {value!r}"
        for name, value in values.items()
    ]
    cell = nbformat.v4.new_code_cell("\n".join(lines), id="settings-of-the-check")  # type: ignore[no-untyped-call]
    copy.cells.insert(first + 1, cell)
    return copy


def _inherited(environment: Mapping[str, str], place: Path, absent: Sequence[str]) -> dict[str, str]:
    """Returns the environment of the notebook's process: a home of its own, and no network."""
    front, site = place / "front", place / "site"
    for folder in (front, site, place / "home"):
        folder.mkdir()
    shutil.copyfile(offline.__file__, front / "sitecustomize.py")
    write_json(front / "sitecustomize.json", {"modules": list(absent), "site": str(site)})
    paths = os.pathsep.join([str(front), str(site)])  # what pip installs goes into a folder of its own
    own = {"HOME": str(place / "home"), "PYTHONPATH": paths, "PIP_TARGET": str(site), "PIP_NO_INPUT": "1"}
    return {**environment, **own}


def _link_tree(folders: Sequence[tuple[Path, Path]]) -> None:
    """Puts folders into the input tree, file by file."""
    for source, target in folders:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                place = target / path.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(path.resolve())


def _listing(tree: Path) -> list[tuple[str, int, float]]:
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime) for path in tree.rglob("*") if path.is_file())


def this_machine() -> list[str]:
    """Paths that a notebook must not hold."""
    return sorted(
        {str(Path.home()), str(Path.cwd()), str(Path(__file__).parents[2]), str(Path(sys.prefix))} - {"/", "/root"}
    )
