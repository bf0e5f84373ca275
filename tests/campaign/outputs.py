"""Every option that names an output, put onto everything that must not be replaced, and onto what may be."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.campaign.material import PAINTED, PHOTOS, SAVING, SCORED, TINY
from tests.campaign.stage import Case, Stage

_SUBMIT = ("submit", "--data", "data", "--run", "new", *TINY, "--training.epochs", "1", "--score", "no")
_RESUME = ("submit", "--data", "data", "--run", "run", *TINY, *SAVING, "--score", "no", "--resume")
_PAINT = ("generate", "--checkpoint", "run/checkpoints/last.pt", "--photos", "photos", "--precision", "fp32")
_SCORE = ("evaluate", "--generated", "generated", "--reference", "paintings", *SCORED)
_COMPARE = ("compare", "--run", "run", "--photos", "photos", "--reference", "paintings", *SCORED, "--device", "cpu")
_OPTIONS: dict[str, tuple[Sequence[str], str]] = {
    "submit --zip": (_SUBMIT, "--zip"),
    "resumed --zip": (_RESUME, "--zip"),
    "generate --zip": (_PAINT, "--zip"),
    "evaluate --json": (_SCORE, "--json"),
    "compare --json": (_COMPARE, "--json"),
    "compare --report": (_COMPARE, "--report"),
}
_VICTIMS = {
    "a photo to learn from": "data/trainA/0.jpg",
    "a painting": "data/trainB/0.jpg",
    "a photo to paint": "data/testA/0.jpg",
    "a photo": "photos/0.jpg",
    "a reference painting": "paintings/0.jpg",
    "a scored picture": "generated/0.jpg",
    "the checkpoint": "run/checkpoints/last.pt",
    "an older checkpoint": "run/checkpoints/epoch-0001.pt",
    "the run's settings": "run/config.yaml",
    "the run's metrics": "run/metrics.jsonl",
    "the run's environment": "run/environment.json",
    "the run's curves": "run/curves.png",
    "a sample": "run/samples/epoch-0001.png",
    "Inception's weights": "weights.pth",
    "notes": "notes.txt",
    "settings of a user": "r.yaml",
    "a picture of the user": "holiday.png",
}
"""Files that no output may replace, whatever it is called."""


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class; nothing in them is chosen at random."""
    for option, (words, flag) in _OPTIONS.items():
        for name, victim in _VICTIMS.items():
            quick = option == "generate --zip" and name in ("a photo", "the checkpoint")
            yield _case(f"{option} onto {name}", [*words, flag, victim], (2,), lambda stage: None, quick=quick)
        yield from _kinds(option, [*words, flag])
    yield from _devices()
    yield from _between_kinds()
    yield from _links()
    yield from _may_be_replaced()


def _case(
    name: str, words: Sequence[str], codes: Sequence[int], prepare: Callable[[Stage], object], *, quick: bool = False
) -> Case:
    def play(stage: Stage) -> None:
        _furnish(stage, words)
        prepare(stage)
        may_change = ("run/checkpoints/last.pt", "run/metrics.jsonl", "run/*.json", "run/config.yaml", "run/curves.png")
        trains = "--resume" in words and 2 not in codes
        stage.run(words[0], *words[1:], codes=codes, may_change=may_change if trains else (), limit=40)

    return Case(f"outputs/{name}", play, quick=quick)


def _furnish(stage: Stage, words: Sequence[str]) -> None:
    stage.needs("run", "data", "photos", "paintings", "generated")
    if "weights.pth" in words:
        stage.needs("weights.pth")
    stage.path("notes.txt").write_text("what I did today\n")
    stage.path("r.yaml").write_text("training: {batch_size: 1}\n")
    stage.path("holiday.png").write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    stage.path("run/scores.jsonl").write_text('{"mifid": 1}\n')


def _kinds(option: str, words: Sequence[str]) -> Iterator[Case]:
    """What is no regular file, or cannot be one."""

    def locked(path: Path) -> None:
        path.mkdir()
        path.chmod(0o555)

    makers: dict[str, tuple[Callable[[Path], object], str]] = {
        "a folder": (os.mkdir, "out"),
        "a FIFO": (os.mkfifo, "out"),
        "a link to itself": (lambda path: path.symlink_to("out"), "out"),
        "a link to /dev/null": (lambda path: path.symlink_to("/dev/null"), "out"),
        "a link to /dev/full": (lambda path: path.symlink_to("/dev/full"), "out"),
        "below a file": (lambda path: path.write_text("x"), "out/x.zip"),
        "a name that is too long": (lambda path: None, "x" * 256),
        "a name of 252 bytes": (lambda path: None, "x" * 252),
        "a path that is too long": (lambda path: None, "x/" * 2500 + "x"),
        "nothing": (lambda path: None, ""),
        "a folder that is not there": (lambda path: None, "out/"),
        "the folder above": (lambda path: None, ".."),
        "a device's folder": (lambda path: None, "/dev/null/x.zip"),
        "a folder without permission": (locked, "out/x.zip"),
    }
    for name, (make, target) in makers.items():
        if option.startswith("compare") and name not in ("a FIFO", "a folder", "a name of 252 bytes", "nothing"):
            continue

        def play(stage: Stage, make: Callable[[Path], object] = make, target: str = target, name: str = name) -> None:
            _furnish(stage, words)
            make(stage.path("out"))
            codes = (0, 2) if name in ("a name of 252 bytes", "a folder that is not there") else (2,)
            trains = ("run/*",) if ("--resume" in words or "compare" in words) and 0 in codes else ()
            stage.run(*words[:-1], f"{words[-1]}={target}", codes=codes, unprivileged=True, may_change=trains, limit=40)

        yield Case(f"outputs/{option} onto {name}", play, quick=option == "generate --zip" and name == "a FIFO")


def _devices() -> Iterator[Case]:
    """Device nodes, which only root can make."""
    for option, (words, flag) in _OPTIONS.items():

        def play(stage: Stage, words: Sequence[str] = words, flag: str = flag) -> None:
            _furnish(stage, words)
            os.mknod(stage.path("out"), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
            stage.run(*words, flag, "out", codes={2})

        yield Case(f"outputs/{option} onto a device node", play, root=True)


def _between_kinds() -> Iterator[Case]:
    """Files of a run, and of other kinds than what is written; a run's own outputs under another option."""
    crossed = {
        "an archive onto the run's report": (*_PAINT, "--zip", "run/report.html"),
        "an archive onto the run's scores": (*_PAINT, "--zip", "run/scores.jsonl"),
        "the archive onto the run's own report": (*_RESUME, "--zip", "run/report.html"),
        "the archive onto the run's own scores": (*_RESUME, "--zip", "run/scores.jsonl"),
        "the archive of a new run onto its metrics": (*_SUBMIT, "--zip", "new/metrics.jsonl"),
        "the archive of a new run onto its checkpoint": (*_SUBMIT, "--zip", "new/checkpoints/last.pt"),
        "the archive of a new run onto its report": (*_SUBMIT, "--zip", "new/report.html"),
        "the archive of a new run onto its settings": (*_SUBMIT, "--zip", "new/config.yaml"),
        "the archive of a new run among its samples": (*_SUBMIT, "--zip", "new/samples/generated.png"),
        "the archive of a new run as its folder": (*_SUBMIT, "--zip", "new/checkpoints"),
        "a page onto an archive": (*_COMPARE, "--report", "run/images.zip"),
        "numbers onto an archive": (*_SCORE, "--json", "run/images.zip"),
        "numbers onto a page": (*_COMPARE, "--json", "run/report.html"),
        "numbers and page onto one file": (*_COMPARE, "--json", "both", "--report", "both"),
        "numbers onto the archive that is scored": (
            *_SCORE,
            "--generated",
            "run/images.zip",
            "--json",
            "run/images.zip",
        ),
    }
    for name, words in crossed.items():
        yield _case(name, words, (2,), lambda stage: None)

    def recipe(stage: Stage) -> None:
        stage.path("r.yaml").write_text("training: {batch_size: 1}\n")

    yield _case("the archive onto the recipe", (*_SUBMIT, "--recipe", "r.yaml", "--zip", "r.yaml"), (2,), recipe)


def _links() -> Iterator[Case]:
    """Other names of the same files."""
    for name, words in {"generate": (*_PAINT, "--zip", "out"), "submit": (*_SUBMIT, "--zip", "out")}.items():
        inputs = (
            ("photos/0.jpg", "run/checkpoints/last.pt")
            if name == "generate"
            else ("data/testA/0.jpg", "data/trainB/1.jpg")
        )
        for victim in inputs:

            def linked(stage: Stage, victim: str = victim) -> None:
                stage.path("out").symlink_to(victim)

            def named_again(stage: Stage, victim: str = victim) -> None:
                stage.path("out").hardlink_to(stage.path(victim))

            yield _case(f"{name} through a link onto {victim}", words, (2,), linked)
            yield _case(f"{name} onto a second name of {victim}", words, (2,), named_again)
        for other in (
            f"./{inputs[0]}",
            f"{inputs[0].split('/')[0]}/../{inputs[0]}",
            f"{inputs[0].split('/')[0]}//{inputs[0].split('/', 1)[1]}",
        ):
            yield _case(f"{name} onto {other}", [*words[:-1], other], (2,), lambda stage: None)

        def through(stage: Stage) -> None:
            stage.path("linked").symlink_to("photos")
            stage.path("data/linked").symlink_to("testA")

        folder = "linked/0.jpg" if name == "generate" else "data/linked/0.jpg"
        yield _case(f"{name} through a linked folder", [*words[:-1], folder], (2,), through)

    def dangling(stage: Stage) -> None:
        stage.path("out").symlink_to("x.zip")

    yield _case("generate through a link to nothing", (*_PAINT, "--zip", "out"), (0, 2), dangling)


def _may_be_replaced() -> Iterator[Case]:
    """What is of the same kind as the output is replaced; what is not there is made."""

    def archive(stage: Stage, name: str = "out.zip") -> None:
        stage.path(name).parent.mkdir(exist_ok=True)
        stage.path(name).write_bytes(stage.needs("pictures.zip").read_bytes())

    right: dict[str, tuple[Sequence[str], str]] = {
        "an earlier archive": (_PAINT, "out.zip"),
        "an earlier archive of a run": (_SUBMIT, "out.zip"),
        "a new file in a new folder": (_PAINT, "a/b/c.zip"),
        "a new file without a suffix": (_PAINT, "c"),
        "a new file beside the photos' names": (_PAINT, "photos.zip"),
        "a new file among the photos": (_PAINT, "photos/new.zip"),
        "the run's earlier archive": (_PAINT, "run/images.zip"),
    }
    for name, (words, target) in right.items():

        def play(stage: Stage, words: Sequence[str] = words, target: str = target) -> None:
            _furnish(stage, words)
            archive(stage)
            stage.run(*words, "--zip", target, codes={0}, may_change=("out.zip", "run/images.zip"))
            stage.archive(target, PHOTOS if words is _PAINT else PAINTED)

        yield Case(f"outputs/onto {name}", play, quick=name == "an earlier archive")

    def twice(stage: Stage) -> None:
        _furnish(stage, _SCORE)
        for _ in range(2):
            stage.run(*_SCORE, "--json", "numbers.json", codes={0}, may_change=("numbers.json",))

    yield Case("outputs/numbers onto earlier numbers", twice)

    def compared(stage: Stage) -> None:
        _furnish(stage, _COMPARE)
        stage.run(*_COMPARE, "--json", "numbers.json", codes={0}, may_change=("run/report.html", "run/scores.jsonl"))

    yield Case("outputs/a comparison's page onto a run's page", compared)

    def built(stage: Stage) -> None:
        stage.path("photos").mkdir()
        stage.path("photos/kernel-metadata.json").mkdir()
        stage.run("kernel", "build", "--folder", "photos", codes={1, 2})
        stage.path("out").write_text("x")
        stage.run("kernel", "build", "--folder", "out", codes={1, 2})
        stage.run("kernel", "build", "--folder", "x" * 300, codes={1, 2})
        stage.run("kernel", "build", "--folder", "new", codes={0})
        stage.run("kernel", "build", "--folder", "new", "--compare", codes={0})

    yield Case("outputs/a kernel onto a file, a folder and itself", built)
