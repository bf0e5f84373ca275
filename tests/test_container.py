"""The Dockerfile, by the rules that linters of such files have, and by what it copies."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """Keyword and words of every instruction, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def words(keyword: str) -> list[str]:
    return [rest for name, rest in instructions() if name == keyword]


def test_the_base_has_a_version_and_the_process_is_not_root() -> None:
    assert all(re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]+", base) for base in words("FROM"))
    assert words("USER")[-1] not in ("root", "0")
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name == "RUN")


def test_the_linter_has_nothing_to_say() -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if linter is None:
        pytest.skip("hadolint is among the extra requirements on Linux, x86-64")
    said = subprocess.run([linter, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout) == (0, ""), said.stderr


def test_packages_are_pinned_and_leave_no_cache() -> None:
    (run,) = words("RUN")
    for install in re.findall(r"pip install [^&;]*", run):
        assert "-c constraints.txt" in install
    assert "PIP_NO_CACHE_DIR=1" in " ".join(words("ENV"))
    assert "sudo" not in run
    assert "ADD" not in [name for name, _ in instructions()]
    assert all(path.startswith("/") for path in words("WORKDIR"))


def test_volumes_hold_data_and_runs_and_commands_are_lists() -> None:
    assert json.loads(words("VOLUME")[0]) == ["/data", "/runs"]
    assert json.loads(words("ENTRYPOINT")[0]) == ["python", "-m"]
    assert json.loads(words("CMD")[0])[0] == "pipelines.submit"


@pytest.mark.skipif(sys.platform == "win32", reason="the image is Linux")
def test_what_is_copied_is_let_through_and_is_enough_for_its_command(tmp_path: Path) -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {word for copy in words("COPY") for word in copy.split()[:-1]}
    assert sources == let_through
    for source in sources:
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
        copy(ROOT / source, tmp_path / source)
    module, *options = json.loads(words("CMD")[0])
    options[options.index("/data")] = str(tmp_path / "nothing")
    options[options.index("/runs/first")] = str(tmp_path / "run")
    done = subprocess.run([sys.executable, "-m", module, *options], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: no folder {tmp_path / 'nothing'}")
