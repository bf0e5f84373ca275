"""The rules of the house: who may import whom, and what the library never does."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [
    {
        *("clock", "config", "context", "device", "display", "distributed", "errors", "files", "interrupts", "jpeg"),
        *("locks", "machine", "recipes", "settings", "side_products", "sizes", "threads", "zips"),
    },
    {"data", "models", "checkpoint", "archive"},
    {"training", "generation", "scoring"},
    {"tracking", "reporting", "exporting"},
    {"doctor", "inference", "kernel", "run_folder"},
    {"ranking", "run", "shards"},
    {"api"},
    {"serving"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
SOURCES = sorted(path for folder in ("monet", "pipelines") for path in (ROOT / folder).rglob("*.py"))


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Modules of the project that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("monet", "pipelines", "tests")}


def room(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "monet" and len(parts) > 1 else None


@pytest.mark.parametrize("path", SOURCES, ids=module)
def test_a_room_imports_only_from_floors_below_it(path: Path) -> None:
    here = room(module(path))
    for name in imports(path):
        there = room(name)
        if here is None:  # pipelines may use everything, and monet/__init__ the API alone
            assert module(path) != "monet" or name.startswith("monet.api")
        elif there is not None and there in FLOOR and there != here:
            same_ground = FLOOR[here] == FLOOR[there] == 0
            assert FLOOR[there] < FLOOR[here] or same_ground, f"{module(path)} imports {name}"
        assert not name.startswith("tests")
        assert here is None or not name.startswith("pipelines")


def test_no_two_files_import_each_other() -> None:
    modules = {module(path): path for path in SOURCES}
    graph = {name: {other for other in imports(path) if other in modules} - {name} for name, path in modules.items()}
    for name, others in graph.items():
        for other in others:
            packages = other == name.rsplit(".", 1)[0]  # a package's __init__ is imported with its modules
            assert name not in graph[other] or packages, f"{name} and {other} import each other"


@pytest.mark.parametrize("path", [path for path in SOURCES if path.is_relative_to(ROOT / "monet")], ids=module)
def test_the_library_never_prints_and_never_reads_the_command_line_or_the_environment(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "input"), f"line {node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            words = f"{node.value.id}.{node.attr}"
            assert words not in ("sys.argv", "os.environ", "os.getenv", "time.time"), f"line {node.lineno}"


def test_every_file_of_the_library_belongs_to_a_floor() -> None:
    for path in SOURCES:
        if (here := room(module(path))) is not None:
            assert here in FLOOR, module(path)


def test_the_kaggle_folder_never_shadows_the_package() -> None:
    assert not (ROOT / "kaggle" / "__init__.py").exists()
