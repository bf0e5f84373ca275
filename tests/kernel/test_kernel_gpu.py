"""The notebook that asks Kaggle's GPUs everything, run here without one."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from monet.kernel.build import METADATA, build, metadata
from monet.kernel.check import run_notebook, static_problems, this_machine
from monet.kernel.editions import GPU
from monet.kernel.notebook import notebook, pack
from tests.gpu.parts import PARTS
from tests.gpu.results import Result, Results
from tests.pipelines.conftest import ROOT

nbformat = pytest.importorskip("nbformat", reason="nbclient and ipykernel are among the extra requirements")
pytest.importorskip("nbclient", reason="nbclient and ipykernel are among the extra requirements")


def test_the_notebook_is_valid_and_explains_every_step() -> None:
    built = notebook(pack(ROOT, GPU.packs), GPU)
    nbformat.validate(built)
    headings = ["".join(cell["source"]).splitlines()[0] for cell in built["cells"] if cell["cell_type"] == "markdown"]
    assert [heading for heading in headings if heading.startswith("## ")] == [
        "## 1. Settings",
        "## 2. The software",
        "## 3. What the image lacks",
        "## 4. Ask",
        "## 5. What was found",
    ]
    assert "{{" not in json.dumps(notebook(None, GPU))
    assert static_problems(built, this_machine()) == []


def test_it_holds_the_program_and_what_that_measures_with_and_no_other_tests() -> None:
    with zipfile.ZipFile(io.BytesIO(pack(ROOT, GPU.packs))) as archive:
        names = set(archive.namelist())
    assert {"tests/__init__.py", "tests/gpu/__main__.py", "tests/benchmarks/measure.py", "pipelines/submit.py"} <= names
    assert not any(Path(name).name.startswith("test_") for name in names)


def test_build_writes_it_where_the_tests_are(tmp_path: Path) -> None:
    assert {f"gpu/{GPU.notebook}", f"gpu/{METADATA}"} <= set(build(ROOT, tmp_path / "whole"))
    for folder in GPU.packs[:2]:
        shutil.copytree(ROOT / folder, tmp_path / "installed" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert not any(name.startswith("gpu/") for name in build(tmp_path / "installed", tmp_path / "less"))


def test_its_committed_metadata_is_what_the_sources_build() -> None:
    there = json.loads((ROOT / "kaggle" / GPU.folder / METADATA).read_text(encoding="utf-8"))
    assert there == metadata([], GPU)
    assert (there["machine_shape"], there["enable_internet"]) == ("NvidiaTeslaT4", True)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_it_runs_through_and_goes_on_from_an_earlier_output(tiny_data: Path, tmp_path: Path) -> None:
    earlier = Results(make(tmp_path / "monet-gpu" / "gpu"))
    earlier.belong_to({"device": "cpu", "torch": torch.__version__, "shapes": "tiny"})
    for part in PARTS:
        if part.name not in ("inception", "split"):
            earlier.add(Result(part=part.name, status="passed", line="as it should be"))
    checked = run_notebook(
        notebook(pack(ROOT, GPU.packs), GPU),
        tiny_data,
        "competitions",
        settings={"MINUTES": 3, "OPTIONS": ["--device", "cpu", "--tiny"], "ONLY": []},
        inputs=[tmp_path / "monet-gpu"],
        absent=["torch_fidelity", "clearml"],
        limit=200,
        rules="any",
        environment={name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
        | {"OMP_NUM_THREADS": "1"},
        output=tmp_path / "executed.ipynb",
        keep_in=tmp_path / "output",
    )
    (problem,) = checked.problems  # this notebook makes no archive of its own
    assert "images.zip" in problem
    known = Results(tmp_path / "output" / "gpu").known
    assert (known["split"].status, known["machine"].seconds) == ("passed", 0.0)
    assert known["inception"].line == "skipped: torch_fidelity not installed"
    executed = json.dumps(nbformat.read(tmp_path / "executed.ipynb", as_version=4))
    assert executed.count("(known) as it should be") == len(PARTS) - 2
    assert '"text/markdown"' in executed


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
