"""The package: what it declares, and that a wheel works away from the checkout."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import monet
from monet import archive
from tests.conftest import TINY

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(name: str) -> set[str]:
    """The requirements in a file and in those that it names, as pyproject writes them."""
    lines = (line.partition("  #")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    found = {line.replace('"', "'") for line in lines if line and not line.startswith("#")}
    others = {line for line in found if line.startswith("-r ")}
    return found - others | {line for other in others for line in requirements(other.removeprefix("-r "))}


def test_the_requirement_files_list_what_the_package_declares() -> None:
    declared = set(PROJECT["dependencies"])
    for extra in PROJECT["optional-dependencies"].values():
        declared |= set(extra)
    main, others = requirements("requirements.txt"), requirements("requirements-extra.txt")
    assert requirements("requirements-serve.txt") == set(PROJECT["optional-dependencies"]["serve"])
    assert main | others == declared
    assert set(PROJECT["dependencies"]) <= main
    assert not main & others


def test_every_requirement_is_among_the_constraints() -> None:
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in requirements("constraints.txt")}
    for requirement in requirements("requirements.txt") | requirements("requirements-extra.txt"):
        name = re.split(r"[\[<>=;]", requirement)[0]
        assert name.lower().replace("_", "-") in pinned


def test_the_constraints_allow_one_another() -> None:
    pinned = dict(line.split("==") for line in requirements("constraints.txt"))
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    refused = []
    compared = 0
    for distribution in importlib.metadata.distributions():
        if distribution.version != pinned.get(canonicalize_name(distribution.metadata["Name"])):
            continue  # what another version asks for says nothing
        compared += 1
        for wish in map(Requirement, distribution.requires or ()):
            version = pinned.get(canonicalize_name(wish.name))
            applies = wish.marker is None or wish.marker.evaluate({"extra": ""})
            if version and applies and not wish.specifier.contains(version, prereleases=True):
                refused.append(f"{distribution.metadata['Name']} needs {wish}, pinned is {version}")
    assert not refused
    if compared < len(pinned):
        pytest.skip(f"{len(pinned) - compared} of {len(pinned)} pinned versions are not installed")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy of the sources, so that the checkout stays as it is."""
    sources = tmp_path_factory.mktemp("sources")
    for name in ("monet", "pipelines", "kaggle", "tests"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."]
    subprocess.run([sys.executable, *words], cwd=sources, check=True, timeout=240)
    (found,) = (sources / "dist").glob("*.whl")
    return found


def test_a_wheel_holds_the_two_packages_with_all_that_they_read(wheel: Path) -> None:
    assert wheel.name.startswith(f"monet-{monet.__version__}-py3-none-any")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"monet", "pipelines"}
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in ("monet", "pipelines")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == sources


class Installed:
    """An environment of its own that holds the wheel, and borrows the libraries of this one."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        venv.create(folder / "environment", with_pip=False)
        self.programs = folder / "environment" / ("Scripts" if sys.platform == "win32" else "bin")
        (packages,) = (folder / "environment").rglob("site-packages")
        (packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
        words = ["--quiet", "--no-deps", "--no-index", str(wheel)]
        python = str(self.programs / "python")
        subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", *words], check=True, timeout=240)

    def run(self, program: str, *words: object) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment, away from the checkout."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [str(self.programs / program), *map(str, words)],
            cwd=self.folder,
            env={**environment, "OMP_NUM_THREADS": "1", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=540,
        )


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("elsewhere"), wheel)


def test_an_installed_package_is_not_the_checkout(installed: Installed) -> None:
    told = installed.run("python", "-c", "import monet, pipelines; print(monet.__file__, pipelines.__file__)")
    assert told.stdout.count(str(installed.folder)) == 2, told.stderr
    assert installed.run("monet", "--version").stdout == f"monet {monet.__version__}\n"


def test_importing_the_package_loads_nothing_large(installed: Installed) -> None:
    code = "import sys, monet; print(sorted({'torch', 'numpy', 'PIL'} & sys.modules.keys()), dir(monet))"
    told = installed.run("python", "-c", code).stdout
    assert told.startswith("[] ['Comparison', ")


def test_an_installed_command_trains_paints_and_validates(installed: Installed, tiny_data: Path) -> None:
    run = installed.folder / "run"
    done = installed.run("monet", "submit", "--data", tiny_data, "--run", run, *TINY, "--training.epochs", "1")
    assert done.returncode == 0, done.stderr
    assert archive.validate(run / "images.zip", "any").valid
    assert (run / "report.html").exists()
    checked = installed.run("monet", "validate", "--rules", "any", run / "images.zip")
    same = installed.run("python", "-m", "pipelines.validate", "--rules", "any", run / "images.zip")
    assert (checked.returncode, checked.stdout) == (same.returncode, same.stdout) == (0, checked.stdout)


def test_an_installed_command_builds_the_kernels_in_the_working_folder(installed: Installed) -> None:
    built = installed.run("monet", "kernel", "build")
    assert built.returncode == 0, built.stderr
    assert (installed.folder / "kaggle" / "monet-submission.ipynb").stat().st_size > 100_000


def test_wrong_words_for_the_command_say_what_to_do(installed: Installed) -> None:
    wrong = installed.run("monet", "submitt")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.endswith("; did you mean submit?\n")
    assert wrong.stderr.count("\n") == 1
    told = installed.run("monet", "train", "--help").stdout
    assert told.startswith("usage: monet train ")
    assert "Pairs an epoch: a count, or `all`" in told  # from the source of monet/config.py
    listed = installed.run("monet").stdout
    for name in ("submit", "train", "generate", "validate", "evaluate", "compare", "kernel", "doctor"):
        assert f"\n  {name} " in listed
        assert (ROOT / "pipelines" / f"{name}.py").exists()


@pytest.mark.slow
def test_the_demo_runs_from_an_installed_wheel(installed: Installed) -> None:
    done = installed.run("monet", "submit", "--data", "demo", "--run", "demo", "--budget", "8m30s")
    assert done.returncode == 0, done.stderr
    assert archive.validate(installed.folder / "demo" / "images.zip", "kaggle").valid


def jobs() -> dict[str, Any]:
    """The jobs of the workflow."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8"))
    return dict(workflow["jobs"])


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("name", ["newest", "lowest"])
def test_the_workflow_runs_the_readmes_test_command(name: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (command,) = {line for line in readme if line.startswith("python -m pytest")}
    assert command in commands(jobs()[name])


def test_the_workflow_tests_every_supported_python() -> None:
    versions = jobs()["newest"]["strategy"]["matrix"]["python-version"]
    assert versions == ["3.10", "3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={versions[0]}"


def test_the_workflow_tests_the_lowest_versions_of_everything() -> None:
    job = jobs()["lowest"]
    (python,) = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    assert PROJECT["requires-python"] == f">={python}"
    (install,) = [command for command in commands(job) if "requirements.txt" in command]
    assert {"lowest-direct", "requirements.txt", "requirements-extra.txt"} <= set(install.split())
