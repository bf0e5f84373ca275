"""Too little memory, disk, open files, processes and stack."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from typing import Any

from tests.campaign.material import PAINT, PAINTED, SAVING, SCORED, TINY, TRANSLATED
from tests.campaign.stage import ADDRESS_SPACE, FILE_SIZE, MEGABYTE, OPEN_FILES, Case, Stage

_MODEL = ("--checkpoint", "run/checkpoints/last.pt")
_COMMANDS: dict[str, Sequence[str]] = {
    "submit": ("submit", "--data", "data", "--run", "run", *TINY, "--training.epochs", "2", "--score", "no"),
    "generate": ("generate", "--checkpoint", "run/checkpoints/last.pt", *PAINT, "--zip", "x.zip"),
    "evaluate": ("evaluate", "--generated", "generated", "--reference", "paintings", *SCORED, "--json", "n.json"),
    "validate": ("validate", "pictures.zip", "--rules", "any"),
    "doctor": ("doctor",),
    "compare": (
        *("compare", "--run", "run", "--photos", "photos", "--reference", "paintings", *SCORED, "--device", "cpu"),
        *("--report", "c.html", "--json", "n.json"),
    ),
    "translate": ("translate", *_MODEL, *TRANSLATED, "--input", "photos", "--output", "out"),
    "export": ("export", *_MODEL, "--safetensors", "m.safetensors"),
    "frames": ("frames", "--video", "film.mp4", "--output", "domain", "--every", "0.5s"),
    "kernel": ("kernel", "build", "--folder", "built"),
}
_NEEDED = {
    **dict.fromkeys(("generate", "translate", "export"), ("run",)),
    "evaluate": ("weights.pth",),
    "compare": ("run", "weights.pth"),
    "frames": ("film.mp4",),
}
"""What commands need besides pictures."""
_LIBRARIES = {"export": ("safetensors",), "frames": ("av", "imagehash")}
_RESUME = (
    "submit",
    "--data",
    "data",
    "--run",
    "run",
    *TINY,
    *SAVING,
    "--training.epochs",
    "3",
    "--score",
    "no",
    "--resume",
)


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class; nothing in them is chosen at random."""
    for name in _COMMANDS:
        for megabytes in (400, 800, 1500, 3000):
            yield _case(
                f"{name} with {megabytes} MB of addresses", name, {ADDRESS_SPACE: megabytes * MEGABYTE}, fresh=True
            )
        for files in (6, 12, 24):
            yield _case(f"{name} with {files} open files", name, {OPEN_FILES: files})
        if name != "validate":
            for size in (0, 500, 30_000, 300_000):
                quick = (name, size) in (("generate", 500), ("submit", 30_000))
                yield _case(f"{name} with files of {size} bytes", name, {FILE_SIZE: size}, quick=quick)
        yield _case(f"{name} with a stack of 256 KB", name, {resource.RLIMIT_STACK: 256 * 1024})
    yield from _disks()
    for part in ("metrics.jsonl", "scores.jsonl", "report.html", "curves.png", "config.yaml"):

        def full(stage: Stage, part: str = part) -> None:
            stage.needs("data", "run")
            stage.path(f"run/{part}").unlink(missing_ok=True)
            stage.path(f"run/{part}").symlink_to("/dev/full")
            stage.run(*_RESUME, codes={0, 1, 2}, may_change=("run/*",))

        yield Case(f"limits/{part} leads to /dev/full", full)


def _case(name: str, command: str, limits: dict[int, int], *, quick: bool = False, **given: Any) -> Case:
    """Done, or one line that says what was missing; and nothing that looks whole and is not."""

    def play(stage: Stage) -> None:
        stage.needs("data", "photos", "generated", "paintings", "pictures.zip", *_NEEDED.get(command, ()))
        outcome = stage.run(
            *_COMMANDS[command], codes={0, 1, 2}, limits=limits, streams=("null", "pipe", "pipe"), **given
        )
        for archive, count in (("run/images.zip", PAINTED), ("x.zip", 2)):
            if stage.path(archive).exists() and command in ("generate", "submit"):
                stage.archive(archive, count)
            elif outcome.code == 0 and command == {"x.zip": "generate"}.get(archive, "submit"):
                stage.flag(f"exit 0 without {archive}")
        if outcome.code == 0 and command == "translate":
            stage.expect(stage.path("out/1.jpg").is_file(), "exit 0 without a translation")

    return Case(f"limits/{name}", play, quick=quick, libraries=_LIBRARIES.get(command, ()))


def _disks() -> Iterator[Case]:
    """A disk that becomes full at some moment of the command."""
    places = {
        "submit": ("run", ("4k", "64k", "400k", "700k", "1400k", "2m")),
        "generate": ("out", ("4k", "16k")),
        "evaluate": ("out", ("4k",)),
        "compare": ("out", ("4k", "64k")),
        "translate": ("out", ("4k", "12k")),
        "export": ("out", ("4k", "64k")),
        "frames": ("domain", ("4k", "40k")),
        "kernel": ("built", ("4k", "200k")),
    }
    for command, (folder, sizes) in places.items():
        for size in sizes:

            def play(stage: Stage, command: str = command, folder: str = folder, size: str = size) -> None:
                stage.needs("data", "photos", "generated", "paintings", *_NEEDED.get(command, ()))
                outputs = ("x.zip", "n.json", "c.html", "m.safetensors")
                words = [f"out/{word}" if word in outputs else word for word in _COMMANDS[command]]
                stage.run(*words, codes={0, 1}, small_disk=(folder, size))

            libraries = _LIBRARIES.get(command, ())
            yield Case(f"limits/{command} on a disk of {size}", play, root=True, libraries=libraries)

    def home(stage: Stage) -> None:
        stage.needs("generated", "paintings", "weights.pth")
        stage.run(*_COMMANDS["evaluate"], codes={0}, small_disk=("../home", "4k"))

    yield Case("limits/a cache on a disk of 4k", home, root=True)

    def temporary(stage: Stage) -> None:
        stage.needs("run", "photos", "paintings", "weights.pth")
        words = ("--run", "run", "--photos", "photos", "--reference", "paintings", *SCORED)
        stage.run("compare", *words, codes={0, 1}, small_disk=("../tmp", "4k"), may_change=("run/report.html",))

    yield Case("limits/temporary files on a disk of 4k", temporary, root=True)
