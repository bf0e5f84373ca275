"""Sends a built kernel to Kaggle through its own package, and prepares the dataset of what Kaggle's image lacks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monet.data.layout import COMPETITION
from monet.errors import InputError, MonetError
from monet.files import write_json
from monet.kernel.build import METADATA, require_address

LACKING = ("torch-fidelity", "clearml", "furl", "orderedmultidict", "pathlib2")
"""Packages that Kaggle's image does not hold; what else they need, it does."""

_PUSHED = re.compile(r"Kernel version (\d+) successfully pushed.*?(https?://\S+)?\s*$", re.MULTILINE)
_SECONDS = 300


@dataclass(frozen=True)
class Pushed:
    """Kaggle's answer."""

    kernel: str
    """`USER/SLUG`."""
    version: str
    url: str

    @property
    def submit(self) -> str:
        """The command that sends the archive once the kernel has run."""
        words = f"kaggle competitions submit {COMPETITION} -k {self.kernel} -f images.zip -v {self.version}"
        return words + ' -m "what is new"'


def prepare(
    folder: Path, target: Path, user: str, slug: str | None = None, resume_from: str | None = None
) -> dict[str, Any]:
    """Copies a built kernel, and gives it its name.

    Args:
        folder: what `build` wrote.
        target: an empty folder.
        user: of Kaggle.
        slug: the kernel's name; as built by default.
        resume_from: the kernel (`USER/SLUG`) whose output this one resumes from.

    Returns:
        The metadata.

    Raises:
        InputError: nothing was built there, or a name is not valid.
    """
    try:
        metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        shutil.copyfile(folder / metadata["code_file"], target / metadata["code_file"])
        slug = slug or str(metadata["title"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{folder} holds no built kernel: python -m pipelines.kernel build writes one") from None
    for word, what in ((user, "user"), (slug, "kernel")):
        if not re.fullmatch(r"[A-Za-z0-9][\w-]{2,}", word):
            raise InputError(
                f"{word!r} is not a valid name of a Kaggle {what}: give letters, digits and dashes, as in its address"
            )
    if resume_from:
        require_address(resume_from, "kernel")
    metadata |= {"id": f"{user}/{slug}", "title": slug, "kernel_sources": [resume_from] if resume_from else []}
    write_json(target / METADATA, metadata)
    return metadata


def push(
    folder: Path, user: str, slug: str | None, environment: Mapping[str, str], resume_from: str | None = None
) -> Pushed:
    """Sends a built kernel with `kaggle kernels push`.

    Args:
        folder: what `build` wrote.
        user: of Kaggle.
        slug: the kernel's name; as built by default.
        environment: variables for the `kaggle` package, which looks for its credentials there and in the home folder.
        resume_from: the kernel (`USER/SLUG`) whose output this one resumes from.

    Raises:
        InputError: nothing was built, a name is not valid, or the `kaggle` package is not installed.
        MonetError: Kaggle refuses it, or cannot be reached.
    """
    with tempfile.TemporaryDirectory(prefix="monet-kernel-") as place:
        kernel = prepare(folder, Path(place), user, slug, resume_from)["id"]
        try:
            done = subprocess.run(
                # not `-m kaggle`: the last version for Python 3.10 has no `__main__`
                [sys.executable, "-m", "kaggle.cli", "kernels", "push", "-p", place],
                cwd=place,  # a folder called kaggle beside it would hide the package
                env=dict(environment),
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MonetError(f"Kaggle has not answered for {_SECONDS} s: nothing is known to be pushed") from None
    said = f"{done.stdout}\n{done.stderr}"
    if "No module named kaggle" in said:
        raise InputError("kernel push needs the kaggle package: pip install kaggle")
    if found := _PUSHED.search(said):
        return Pushed(kernel, found.group(1), found.group(2) or f"https://www.kaggle.com/code/{kernel}")
    raise _refusal(said)


def _refusal(said: str) -> MonetError:
    """Returns the kaggle package's message as one line that says what to do."""
    if re.search(
        r"Authentication required|Could not find kaggle.json|\b40[13]\b|Unauthori[sz]ed|Unauthenticated", said
    ):
        return InputError(
            "Kaggle finds no credentials, or wrong ones: make a token at kaggle.com/settings/api, and put it into "
            "KAGGLE_API_TOKEN or ~/.kaggle/access_token"
        )
    if "Max retries exceeded" in said or "ConnectionError" in said:
        return MonetError("Kaggle cannot be reached: nothing was pushed; try again when there is a network")
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("Warning: Looks like")]
    return MonetError(f"Kaggle does not take the kernel: {lines[-1][:300] if lines else 'no reason given'}")


def collect_wheels(folder: Path, weights: Path | None) -> list[str]:
    """Downloads what Kaggle's image lacks into a folder that can be made a dataset.

    Args:
        folder: it, made if it is not there.
        weights: the Inception weights to add, if they are at hand.

    Returns:
        The names of the files.

    Raises:
        MonetError: pip cannot download them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    only = ["--only-binary", ":all:", "--python-version", "3.11", "--platform", "manylinux2014_x86_64"]
    done = subprocess.run([*command, *only, *LACKING], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
        raise MonetError(f"pip cannot download the wheels: {lines[-1].removeprefix('ERROR: ')[:300]}")
    if weights:
        shutil.copyfile(weights, folder / weights.name)
    metadata = folder / "dataset-metadata.json"
    if not metadata.exists():  # else it has a user's name by now, or is another dataset's
        values = {"title": "monet-wheels", "id": "INSERT_USERNAME/monet-wheels", "licenses": [{"name": "other"}]}
        write_json(metadata, values)
    return sorted(path.name for path in folder.iterdir())
