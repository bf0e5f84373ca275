"""The Kaggle kernel: built from the sources, and run as Kaggle would."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from monet import checkpoint, recipes
from monet.errors import InputError
from monet.kernel.build import METADATA, build, metadata
from monet.kernel.check import Checked, run_notebook, static_problems, this_machine
from monet.kernel.editions import EDITIONS, LONG, SHORT, Edition
from monet.kernel.notebook import contents, notebook, pack
from monet.settings import resolve
from tests.conftest import TINY
from tests.pipelines.conftest import ROOT, command, finish, started
from tests.training.comparison import differences

nbformat = pytest.importorskip("nbformat", reason="nbclient and ipykernel are among the extra requirements")
pytest.importorskip("nbclient", reason="nbclient and ipykernel are among the extra requirements")

OTHERS = [path for name in ("python3.10", "python3.11", "python3.12", "python3.13") if (path := shutil.which(name))]


def cells(kind: str, **options: Any) -> list[str]:
    found = notebook(pack(ROOT) if not options else None)["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


NOTEBOOK = SHORT.notebook


@pytest.mark.parametrize("edition", EDITIONS, ids=lambda edition: edition.slug)
def test_the_notebook_is_valid_and_explains_every_step(edition: Edition) -> None:
    built = notebook(pack(ROOT), edition)
    nbformat.validate(built)
    kinds = [cell["cell_type"] for cell in built["cells"]]
    headings = [text.splitlines()[0] for text in cells("markdown")]
    assert [heading for heading in headings if heading.startswith("## ")] == [
        "## 1. Settings",
        "## 2. The software",
        "## 3. What the image lacks",
        "## 4. What this machine can do",
        "## 5. Tracking",
        "## 6. Train, paint, check, score",
        "## 7. Look",
        "## 8. What to do next",
    ]
    assert kinds[0] == "markdown"
    assert "code" in kinds
    visible = [text for text in cells("code") if len(text) < 10_000]
    assert sum(len(text.splitlines()) for text in visible) < 110  # a page or two to read
    for text in visible:
        compile(text, "cell", "exec")
        assert max(map(len, text.splitlines())) <= 120
    assert "STARTED = time.monotonic()" in cells("code")[0]


def test_the_notebook_holds_all_of_monet_with_its_digest() -> None:
    packed_cell = next(text for text in cells("code") if "PACKED" in text)
    packed = lzma.decompress(base64.b64decode(packed_cell.split('"""')[1]))
    assert hashlib.sha256(packed).hexdigest() in packed_cell
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {"monet/training/step.py", "monet/recipes/kaggle.yaml", "pipelines/submit.py"} <= set(names)
        assert "monet/reporting/report.html.jinja" in names
        assert archive.read("monet/training/step.py") == (ROOT / "monet/training/step.py").read_bytes()
        assert not any("__pycache__" in name or name.startswith("tests") for name in names)


def test_the_same_sources_give_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    for folder in ("monet", "pipelines"):
        shutil.copytree(ROOT / folder, tmp_path / "copy" / folder)
    for path in (tmp_path / "copy").rglob("*"):
        os.utime(path, (1e9, 1e9))
    build(tmp_path / "copy", tmp_path / "one")
    build(ROOT, tmp_path / "two")
    for name in (NOTEBOOK, METADATA):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert pack(tmp_path / "copy") == pack(ROOT)
    (tmp_path / "copy" / "monet" / "another.py").write_text("# another\n")
    assert pack(tmp_path / "copy") != pack(ROOT)


@pytest.mark.parametrize("python", OTHERS)
def test_other_pythons_build_the_same_contents(tmp_path: Path, python: str) -> None:
    code = "import sys, pathlib; from monet.kernel.build import build; build(*map(pathlib.Path, sys.argv[1:]))"
    done = subprocess.run([python, "-S", "-c", code, ".", tmp_path / "other"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode and "not found" in done.stderr:
        pytest.skip(f"{python} is not installed")
    assert done.returncode == 0, done.stderr
    build(ROOT, tmp_path / "here")
    for name in (SHORT.notebook, f"long/{LONG.notebook}", METADATA, f"long/{METADATA}"):
        other, here = (contents((tmp_path / folder / name).read_text()) for folder in ("other", "here"))
        assert other == here


@pytest.mark.parametrize("damage", [lambda text: text[:-9] + "AAAAAAAA\n", lambda text: "é" + text, lambda text: ""])
def test_a_damaged_cell_says_so(damage: Callable[[str], str], tmp_path: Path) -> None:
    cell = next(text for text in cells("code") if "PACKED" in text)
    before, packed, after = cell.split('"""')
    damaged = tmp_path / "cell.py"
    damaged.write_text('"""'.join([before, damage(packed), after]))
    done = subprocess.run([sys.executable, damaged], capture_output=True, text=True, env={"TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stderr.strip()) == (1, "this cell is damaged: build the notebook again")


def test_what_is_committed_is_what_the_sources_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("kernel", "build", "--compare") == 0
    assert command("kernel", "build", "--folder", tmp_path) == 0
    changed = tmp_path / "long" / LONG.notebook
    changed.write_text(changed.read_text().replace("Five hours count", "Four hours count"))
    assert command("kernel", "build", "--compare", "--folder", tmp_path) == 1
    assert "is not what the sources build: python -m pipelines.kernel build" in capsys.readouterr().err


def test_the_metadata_says_what_kaggle_is_to_do() -> None:
    found = metadata(["someone/wheels"])
    assert found["id"] == "INSERT_USERNAME/monet-submission"
    assert found["competition_sources"] == ["gan-getting-started"]
    assert found["enable_internet"] is False
    assert found["is_private"] is found["enable_gpu"] is True
    assert found["machine_shape"] == "NvidiaTeslaT4"
    assert found["dataset_sources"] == ["someone/wheels"]
    assert metadata([], SHORT, internet=True)["enable_internet"] is True
    assert metadata([], LONG, internet=False)["enable_internet"] is False
    long = metadata([], LONG)
    assert (long["id"], long["title"], long["code_file"]) == ("INSERT_USERNAME/monet-long", "monet-long", LONG.notebook)
    assert long["enable_internet"] is True


def test_the_long_notebook_trains_155_epochs_over_several_kernels_with_clearml() -> None:
    settings = next("".join(cell["source"]) for cell in notebook(None, LONG)["cells"] if cell["cell_type"] == "code")
    assert 'RECIPE = "kaggle-top15-long"' in settings
    config = resolve(recipes.read(LONG.recipe))
    assert (config.training.epochs, config.tracking, config.budget) == (155, ("clearml",), "4h45m")
    assert config.horizon is not None
    text = json.dumps(notebook(None, LONG))
    assert "-k USER/monet-long -f images.zip" in text
    assert "{{" not in text


@pytest.mark.parametrize(("there", "internet"), [(True, True), (True, False), (False, True)])
def test_the_keys_of_trackers_come_from_kaggles_secrets_where_there_are_trackers(
    there: bool, internet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class UserSecretsClient:
        def get_secret(self, name: str) -> str:
            asked.append(name)
            if not internet:
                raise ConnectionError("turn the internet on")
            if name == "CLEARML_FILES_HOST":
                raise ValueError("no such secret")
            return f"the {name}"

    if there:
        monkeypatch.setitem(sys.modules, "kaggle_secrets", types.SimpleNamespace(UserSecretsClient=UserSecretsClient))
    environment: dict[str, str] = {}
    (cell,) = [text for text in cells("code") if "kaggle_secrets" in text]
    code = compile(cell, "cell", "exec")
    for tracker in ("none", "clearml"):
        known = {
            "RECIPE": "kaggle",
            "SETTINGS": ["--tracking", tracker],
            "os": types.SimpleNamespace(environ=environment),
        }
        exec(code, known)
        assert bool(asked) == (there and tracker == "clearml")
    if there and internet:
        assert environment["CLEARML_API_ACCESS_KEY"] == "the CLEARML_API_ACCESS_KEY"
        assert environment["WANDB_API_KEY"] == "the WANDB_API_KEY"
        assert "CLEARML_FILES_HOST" not in environment
    else:
        assert environment == {}
        assert len(asked) == there  # one wait for a network that is not there is enough


class Runs:
    """Stands in for the commands that the notebook runs: returns an exit code for each number of processes."""

    def __init__(self, root: Path, codes: dict[int, int], leaves_archive: bool = False) -> None:
        self.calls: list[tuple[int, list[str]]] = []
        self.root, self.codes, self.leaves_archive = root, codes, leaves_archive
        self.now = 0

    def __call__(self, command: str, *words: Any, processes: int = 1) -> int:
        assert command == "submit"
        self.calls.append((processes, [str(word) for word in words]))
        self.now += 1000
        if self.leaves_archive:
            (self.root / "images.zip").touch()
        return self.codes[processes]


def train_in_notebook(runs: Runs, monkeypatch: pytest.MonkeyPatch, *, gpus: int, earlier: bool = False) -> None:
    """Executes the notebook's cell that trains, with another `run`."""
    (source,) = [text for text in cells("code") if 'run("submit"' in text]
    (runs.root / "input" / "gan-getting-started").mkdir(parents=True)
    if earlier:
        (runs.root / "input" / "monet" / "run" / "checkpoints").mkdir(parents=True)
        (runs.root / "input" / "monet" / "run" / "checkpoints" / "last.pt").touch()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    known = {
        **{"RECIPE": "kaggle-top15", "SETTINGS": [], "HORIZON": None, "weights": None},
        **{"INPUT": runs.root / "input", "WORKING": runs.root, "run": runs},
        "config": resolve(recipes.read("kaggle-top15")),
        "time_left": lambda: f"{17100 - runs.now}s",
    }
    exec(compile(source, "cell", "exec"), known)


def given(call: tuple[int, list[str]]) -> dict[str, str]:
    """The options of a call with their values."""
    words = [part for word in call[1] if word != "--resume" for part in word.split("=")]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_each_of_two_gpus_sees_as_many_pairs_at_once_as_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for gpus, batch, parts in ((1, "6", "2"), (2, "3", "1")):
        runs = Runs(tmp_path / str(gpus), {gpus: 0})
        train_in_notebook(runs, monkeypatch, gpus=gpus)
        ((processes, words),) = runs.calls
        assert processes == gpus
        options = given((processes, words))
        assert (options["--training.batch_size"], options["--training.accumulation"]) == (batch, parts)
        assert "--resume" not in words


@pytest.mark.parametrize("earlier", [True, False])
def test_where_two_gpus_together_fail_one_goes_on_in_the_time_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], earlier: bool
) -> None:
    runs = Runs(tmp_path, {2: 1, 1: 0})
    train_in_notebook(runs, monkeypatch, gpus=2, earlier=earlier)
    both, alone = runs.calls
    assert (both[0], alone[0]) == (2, 1)
    assert ("--resume" in both[1]) is earlier
    assert "--resume" in alone[1]
    assert given(alone) == {
        **given(both),
        **{"--training.batch_size": "6", "--training.accumulation": "2", "--budget": "16100s"},
    }
    assert capsys.readouterr().out == "2 GPUs together failed (exit code 1): continuing with one, for 16100s\n"


@pytest.mark.parametrize(("gpus", "leaves_archive"), [(2, True), (1, False)])
def test_a_failure_that_one_gpu_would_not_mend_ends_the_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, leaves_archive: bool
) -> None:
    runs = Runs(tmp_path, {gpus: 1}, leaves_archive)
    with pytest.raises(SystemExit, match="exit code"):
        train_in_notebook(runs, monkeypatch, gpus=gpus)
    assert len(runs.calls) == 1


def test_a_dataset_may_hold_the_software(tmp_path: Path) -> None:
    build(ROOT, tmp_path, as_dataset="someone/monet")
    text = (tmp_path / NOTEBOOK).read_text()
    assert "PACKED" not in text
    assert 'INPUT.rglob(\\"pipelines/submit.py\\")' in text
    assert json.loads((tmp_path / METADATA).read_text())["dataset_sources"] == ["someone/monet"]
    with pytest.raises(InputError, match="'monet' is not a Kaggle dataset: write it as USER/SLUG"):
        build(ROOT, tmp_path, as_dataset="monet")


def cell(text: str) -> dict[str, Any]:
    return {"cells": [{"id": "cell-07", "cell_type": "code", "source": text}]}


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "0123456789abcdef"',
        "token: 'abcdefgh12'",
        '{"password": "hunter2hunter2"}',
        "KGAT_0123456789abcdef0123",
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_credential_is_found(text: str) -> None:
    (problem,) = static_problems(cell(text), [])
    assert problem.startswith("cell-07 holds what looks like a credential: ")
    assert len(problem) == len("cell-07 holds what looks like a credential: ") + 13  # and not the whole of it


def test_a_path_of_this_machine_is_found_and_the_built_notebook_holds_none() -> None:
    assert static_problems(cell("open('/home/someone/x')"), ["/home/someone"]) == [
        "cell-07 holds /home/someone, of this machine"
    ]
    assert static_problems(cell('token = secrets.get_secret("CLEARML")'), []) == []
    assert static_problems(notebook(pack(ROOT)), this_machine()) == []


def run(
    data: Path,
    folder: Path,
    *words: str,
    inputs: tuple[Path, ...] = (),
    horizon: str | None = None,
    mount: Any = "competitions",
) -> Checked:
    """Runs the notebook that the sources build, with tiny networks."""
    return run_notebook(
        notebook(pack(ROOT)),
        data,
        mount,
        settings={"RECIPE": "quick-cpu", "BUDGET": "3m", "HORIZON": horizon, "SETTINGS": [*TINY, *words]},
        inputs=inputs,
        absent=["torch_fidelity", "clearml"],
        limit=300,
        rules="any",
        environment={name: value for name, value in os.environ.items() if name in ("PATH", "LD_LIBRARY_PATH", "LANG")}
        | {"OMP_NUM_THREADS": "1"},
        output=folder / "executed.ipynb",
        keep_in=folder / "output",
    )


def said(folder: Path) -> str:
    """All that the cells printed."""
    executed = nbformat.read(folder / "executed.ipynb", as_version=4)
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.get("text", "") for output in outputs)


def test_the_notebook_runs_through_offline_with_nothing_but_the_image(tiny_data: Path, tmp_path: Path) -> None:
    checked = run(tiny_data, tmp_path, "--training.epochs", "3")
    assert checked.problems == []
    assert (checked.images, checked.mount) == (6, "competitions")
    assert checked.files < 30
    text = said(tmp_path)
    assert "continuing without torch-fidelity, clearml" in text
    assert "trained on 24 pairs" in text
    assert "trained in this kernel alone" in text
    executed = nbformat.read(tmp_path / "executed.ipynb", as_version=4)
    shown = [o for cell in executed.cells if cell.cell_type == "code" for o in cell.outputs if "data" in o]
    assert [next(iter(output["data"])) for output in shown] == ["image/png", "image/png"]


def test_a_second_kernel_goes_on_from_the_output_of_the_first_as_if_there_were_one(
    tiny_data: Path, tmp_path: Path
) -> None:
    settings = ["--training.epochs", "4", "--training.save_every", "1", "--training.ema", "0.9"]
    whole, earlier = tmp_path / "whole", tmp_path / "monet-submission"
    words = ("--recipe", "quick-cpu", *TINY, *settings, "--horizon", "9h")
    finish(started("train", "--data", tiny_data, "--run", whole, *words, cwd=tmp_path), 0)
    shutil.copytree(whole, earlier / "run")
    kept = earlier / "run" / "checkpoints"
    (kept / "last.pt").write_bytes((kept / "epoch-0002.pt").read_bytes())  # stopped there, at the end of its time
    for name in ("epoch-0003.pt", "epoch-0004.pt"):
        (kept / name).unlink()
    checked = run(tiny_data, tmp_path, *settings, inputs=(earlier,), horizon="9h", mount="plain")
    assert checked.problems == []
    last = tmp_path / "output" / "run" / "checkpoints" / "last.pt"
    one, two = checkpoint.load(whole / "checkpoints" / "last.pt"), checkpoint.load(last)
    assert differences(one, two, ("seconds", "budget")) == []
    assert "trained in 2 kernels: the competition's cap is a kernel's" in said(tmp_path)


def test_a_notebook_that_fails_is_a_problem_and_says_why(tiny_data: Path, tmp_path: Path) -> None:
    checked = run(tiny_data, tmp_path, "--training.epochs", "0")
    assert any("the notebook does not run through" in problem for problem in checked.problems)
    assert any("no archive" in problem for problem in checked.problems)
    executed = json.dumps(json.loads((tmp_path / "executed.ipynb").read_text()))
    assert "RECIPE or SETTINGS: training.epochs is 0: give at least 1, or null" in executed


def test_a_command_that_fails_ends_the_notebook_with_its_exit_code(tiny_data: Path, tmp_path: Path) -> None:
    checked = run(tiny_data, tmp_path, "--training.epochs", "1", "--feature-layer", "3")
    assert any("the notebook does not run through" in problem for problem in checked.problems)
    assert re.search(r"exit code 2: the lines above say why", (tmp_path / "executed.ipynb").read_text())
    assert "argument --feature-layer: invalid choice: '3'" in said(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="paths")
def test_without_a_built_notebook_check_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("kernel", "check", "--folder", tmp_path, "--data", tmp_path) == 2
    assert "holds no built kernel: python -m pipelines.kernel build writes one" in capsys.readouterr().err


def test_a_notebook_takes_the_place_of_nothing_else(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kernel-metadata.json").write_text('{"code_file": "mine.ipynb"}')
    assert command("kernel", "build", "--folder", tmp_path) == 2
    assert "kernel-metadata.json is there and is not one of this kernel's files: move it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kernel-metadata.json"]
    (tmp_path / "kernel-metadata.json").unlink()
    for _ in range(2):
        assert command("kernel", "build", "--folder", tmp_path) == 0
    (tmp_path / "plain.ipynb").write_text("notes")
    words = ("--folder", tmp_path, "--data", tiny_data, "--output", tmp_path)
    assert command("kernel", "check", *words) == 2
    assert "plain.ipynb is there and is not a notebook" in capsys.readouterr().err
    assert (tmp_path / "plain.ipynb").read_text() == "notes"
