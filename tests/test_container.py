"""The Dockerfile and the compose file, by the rules that linters of such files have, and by what they start."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import monet
from tests.conftest import TINY_SETTINGS

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


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


@pytest.mark.parametrize("name", ["bot", "studio"])
def test_a_service_has_a_health_check_a_limit_of_memory_and_no_rights(name: str) -> None:
    service = services()[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["mem_limit"].endswith(":-3g}")
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(volume.endswith(":ro") for volume in service["volumes"] if ":/models" in volume)
    assert "privileged" not in service
    assert service["command"][0] == f"pipelines.{name}"


def test_ports_of_services_are_open_to_this_machine_alone() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert len(ports) == 1
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.skipif(sys.platform == "win32", reason="the image is Linux")
def test_the_studio_starts_as_the_compose_file_starts_it_and_is_healthy(tmp_path: Path, tiny_data: Path) -> None:
    monet.train(tiny_data, run=tmp_path / "run", settings={**TINY_SETTINGS, "training.epochs": 1})
    for source in ("monet", "pipelines"):
        shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    service = services()["studio"]
    command = [str(tmp_path / "run" / "checkpoints") if word == "/models" else word for word in service["command"]]
    home = {**os.environ, **service["environment"], "HOME": str(tmp_path)}
    log = tmp_path / "log"
    with open(log, "w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--port", "0"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=home,
        )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("studio at ").strip()
        assert address.startswith("http://127.0.0.1:"), log.read_text()
        check = service["healthcheck"]["test"][-1].replace("http://127.0.0.1:7860", address)
        assert subprocess.run([sys.executable, "-c", check], timeout=30).returncode == 0
        assert "everybody who reaches 0.0.0.0 may use the studio" in log.read_text()
    finally:
        process.terminate()
        assert process.wait(30) == 143
