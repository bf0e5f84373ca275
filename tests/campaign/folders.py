"""Folders and files with odd names, kinds and rights: the data, the photos, the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.campaign.material import PAINTED, SAVING, TINY
from tests.campaign.stage import Case, Stage

Prepare = Callable[[Stage], object]
TRAIN = ("train", "--data", "data", "--run", "run", *TINY, "--training.epochs", "1")
SUBMIT = ("submit", "--data", "data", "--run", "run", *TINY, "--training.epochs", "1", "--score", "no")
PAINT = (
    "generate",
    "--checkpoint",
    "run/checkpoints/last.pt",
    "--photos",
    "photos",
    "--zip",
    "x.zip",
    "--precision",
    "fp32",
)
RESUME = (
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
    yield from _data()
    yield from _run_names()
    yield from _run_parts()
    yield from _rights()


def case(
    name: str, prepare: Prepare, words: Sequence[str], codes: Sequence[int], *, quick: bool = False, **judged: object
) -> Case:
    def play(stage: Stage) -> None:
        stage.needs("data", "photos")
        if words[0] == "generate" or "--resume" in words:
            stage.needs("run")
        prepare(stage)
        stage.run(words[0], *words[1:], codes=codes, **judged)

    return Case(f"folders/{name}", play, quick=quick)


def _data() -> Iterator[Case]:
    def emptied(name: str) -> Prepare:
        def prepare(stage: Stage) -> None:
            for path in stage.path(name).iterdir():
                path.unlink()

        return prepare

    def replaced(name: str, make: Callable[[Path], object]) -> Prepare:
        def prepare(stage: Stage) -> None:
            path = stage.path(name)
            if path.is_dir() and not path.is_symlink():
                path.rename(stage.path("elsewhere"))
            make(path)

        return prepare

    def spoilt(name: str) -> Prepare:
        return lambda stage: [path.write_bytes(b"no picture") for path in stage.path(name).iterdir()]

    loop = replaced("data", lambda path: path.symlink_to("data"))
    wrong: dict[str, Prepare] = {
        "data is a file": replaced("data", lambda path: path.write_text("x")),
        "data is a FIFO": replaced("data", os.mkfifo),
        "data is a link to itself": loop,
        "data is a link to nothing": replaced("data", lambda path: path.symlink_to("nothing")),
        "data is empty": replaced("data", lambda path: path.mkdir()),
        "trainA is empty": emptied("data/trainA"),
        "trainB is empty": emptied("data/trainB"),
        "testA is empty": emptied("data/testA"),
        "trainA is a file": replaced("data/trainA", lambda path: path.write_text("x")),
        "trainB is a link to itself": replaced("data/trainB", lambda path: path.symlink_to("trainB")),
        "trainA holds no picture": spoilt("data/trainA"),
        "trainB holds no picture": spoilt("data/trainB"),
        "testA holds no picture": spoilt("data/testA"),
        "trainA holds a folder alone": replaced("data/trainA", lambda path: (path / "inner").mkdir(parents=True)),
    }
    for name, prepare in wrong.items():
        yield case(name, prepare, SUBMIT, (2,), quick=name == "data is a FIFO")
    for data in (
        "",
        "nothing",
        "a\nb",
        "\udcff",
        "x" * 300,
        "x/" * 2500,
        "/dev/null",
        "/proc/self/mem",
        "data/trainA",
        "data/trainA/0.jpg",
        "~",
        "AUTO",
        " demo",
    ):
        words = ("train", f"--data={data}", "--run", "run", *TINY, "--training.epochs", "1")
        yield case(f"--data {repr(data)[:20]}", lambda stage: None, words, (2,))
    yield case(
        "--data auto without any",
        lambda stage: None,
        ("train", "--data", "auto", "--run", "run", *TINY, "--training.epochs", "1"),
        (2,),
        quick=True,
    )

    def linked(stage: Stage) -> None:
        stage.path("data").rename(stage.path("d"))
        stage.path("data").symlink_to("d")

    yield case("data through a link", linked, TRAIN, (0,))

    def both(stage: Stage) -> None:
        for name in ("monet_jpg", "photo_jpg"):
            (stage.path("data") / name).mkdir()

    yield case("both layouts in one folder", both, TRAIN, (2,))
    yield case("no testA", lambda stage: stage.path("data/testA").rename(stage.path("elsewhere")), SUBMIT, (0,))


def _run_names() -> Iterator[Case]:
    wrong = {
        "nothing": "",
        "a long name": "x" * 256,
        "a very long path": "x/" * 2500,
        "below a file": "photos/0.jpg/run",
        "below a device": "/dev/null/run",
        "in /proc": "/proc/run",
        "in /sys": "/sys/run",
        "the data": "data",
        "the place": ".",
        "the root": "/",
        "a photo": "photos/0.jpg",
        "a device": "/dev/null",
        "a folder of photos": "photos",
    }
    for name, run in wrong.items():
        words = tuple(f"--run={run}" if word == "run" else word for word in TRAIN if word != "--run")
        yield case(
            f"the run is {name}",
            lambda stage: None,
            words,
            (1, 2) if name.startswith("in /") else (2,),
            quick=name == "a long name",
        )
    right = {
        "with a line break": "a\nb",
        "no text": "\udcff",
        "with spaces": " r ",
        "of 255 bytes": "x" * 255,
        "deep": "a/b/c/d",
        "of an emoji": "🎨",
        "a dash": "-r",
        "with percent signs": "%s%n",
    }
    for name, run in right.items():
        words = tuple(f"--run={run}" if word == "run" else word for word in SUBMIT if word != "--run")
        yield case(f"the run's name is {name}", lambda stage: None, words, (0, 2) if name == "no text" else (0,))

    def kind(make: Callable[[Path], object]) -> Prepare:
        return lambda stage: make(stage.path("run"))

    kinds: dict[str, Callable[[Path], object]] = {
        "a FIFO": os.mkfifo,
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "a link to itself": lambda path: path.symlink_to("run"),
        "a link to a file": lambda path: path.symlink_to("photos/0.jpg"),
        "a link to /dev/null": lambda path: path.symlink_to("/dev/null"),
    }
    for name, make in kinds.items():
        yield case(f"the run is {name}", kind(make), TRAIN, (0, 2) if name == "a link to nothing" else (2,))
        yield case(f"the run is {name}, submit", kind(make), SUBMIT, (0, 2) if name == "a link to nothing" else (2,))


def _run_parts() -> Iterator[Case]:
    """A run of which one part is of another kind, or holds what nobody wrote."""

    def broken(part: str, make: Callable[[Path], object]) -> Prepare:
        def prepare(stage: Stage) -> None:
            path = stage.path("run") / part
            if path.exists():
                path.rename(stage.path("elsewhere"))
            make(path)

        return prepare

    def folder(path: Path) -> None:
        path.mkdir()
        (path / "x").write_text("x")

    parts = (
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "checkpoints/last.pt",
        "checkpoints",
        "samples",
        "curves.png",
        "scores.jsonl",
        "report.html",
        "images.zip",
    )
    kinds: dict[str, Callable[[Path], object]] = {
        "a folder": folder,
        "a FIFO": os.mkfifo,
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a file": lambda path: path.write_text("x"),
    }
    harmless = {"curves.png", "report.html", "scores.jsonl", "samples", "environment.json", "config.yaml"}
    for part in parts:
        for name, make in kinds.items():
            if (name == "a file") != (part in ("checkpoints", "samples")):
                continue
            codes = (0, 1, 2) if part in harmless else (2,)
            yield case(
                f"{part} is {name}",
                broken(part, make),
                RESUME,
                codes,
                may_change=("run/*",),
                limit=40,
                quick=part == "metrics.jsonl" and name == "a folder",
            )
    lines = {
        "nothing": b"",
        "garbage": b"\x00\xff\x80 garbage",
        "half a line": b'{"pairs": 2, "step"',
        "null pairs": b'{"pairs": null}\n',
        "huge pairs": b'{"pairs": 1e999}\n{"pairs": 99999999999999999999999}\n',
        "a list": b"[1, 2]\n",
        "deep lists": b"[" * 100_000 + b"\n",
        "a long line": b'{"pairs": 1, "x": "' + b"x" * 10_000_000 + b'"}\n',
        "no text": b'{"pairs": 1, "x": "\xff"}\n',
        "NaN": b'{"pairs": NaN}\n',
        "a step without losses": b'{"pairs": 1, "step": 1}\n',
        "text for a number": b'{"pairs": "x"}\n',
        "losses that are text": b'{"pairs": 1, "step": 1, "progress": 0.1, "learning_rate": 0.1, "losses": "x"}\n',
    }
    for name, data in lines.items():
        for part in ("metrics.jsonl", "environment.json", "scores.jsonl"):

            def play(stage: Stage, data: bytes = data, part: str = part) -> None:
                stage.needs("data", "run")
                (stage.path("run") / part).write_bytes(data)
                # What cannot be read of the past is no reason to lose the archive.
                stage.run(*RESUME, codes={0}, may_change=("run/*",))
                stage.archive("run/images.zip", PAINTED)

            yield Case(f"folders/{part} holds {name}", play, quick=part == "metrics.jsonl" and name == "garbage")


def _rights() -> Iterator[Case]:
    def closed(name: str, mode: int = 0) -> Prepare:
        return lambda stage: stage.path(name).chmod(mode)

    wrong: dict[str, tuple[Prepare, Sequence[str]]] = {
        "the data cannot be entered": (closed("data"), TRAIN),
        "the data cannot be listed": (closed("data", 0o111), TRAIN),
        "trainA cannot be entered": (closed("data/trainA"), TRAIN),
        "trainA can be listed alone": (closed("data/trainA", 0o444), TRAIN),
        "testA cannot be entered": (closed("data/testA"), SUBMIT),
        "the photos cannot be entered": (closed("photos"), PAINT),
        "the photos can be listed alone": (closed("photos", 0o444), PAINT),
        "a photo cannot be read": (closed("photos/0.jpg"), PAINT),
        "a photo of testA cannot be read": (closed("data/testA/0.jpg"), SUBMIT),
        "the place cannot be written to": (closed(".", 0o555), TRAIN),
        "the place cannot be painted into": (closed(".", 0o555), PAINT),
        "the run cannot be entered": (closed("run"), RESUME),
        "the run cannot be written to": (closed("run", 0o555), RESUME),
        "the run cannot be listed": (closed("run", 0o333), RESUME),
        "the checkpoints cannot be entered": (closed("run/checkpoints"), RESUME),
        "the checkpoints cannot be written to": (closed("run/checkpoints", 0o555), RESUME),
        "the checkpoint cannot be read": (closed("run/checkpoints/last.pt"), RESUME),
        "the checkpoint cannot be read to paint": (closed("run/checkpoints/last.pt"), PAINT),
        "the metrics cannot be read": (closed("run/metrics.jsonl", 0o200), RESUME),
        "the metrics cannot be written": (closed("run/metrics.jsonl", 0o444), RESUME),
        "the samples cannot be written": (closed("run/samples", 0o555), RESUME),
        "the environment cannot be read": (closed("run/environment.json"), RESUME),
        "the scores cannot be read": (closed("run/scores.jsonl"), RESUME),
    }
    for name, (prepare, words) in wrong.items():

        def play(stage: Stage, prepare: Prepare = prepare, words: Sequence[str] = words, name: str = name) -> None:
            stage.needs("data", "photos", "run")
            (stage.path("run") / "scores.jsonl").touch()
            if words in (TRAIN, SUBMIT):
                stage.path("run").rename(stage.path("other"))
            prepare(stage)
            codes = (0, 1, 2) if any(word in name for word in ("samples", "environment", "scores", "metrics")) else (2,)
            if name == "the data cannot be listed":
                codes = (0,)  # its parts have known names
            stage.run(*words, codes=codes, unprivileged=True, may_change=("run/*",))

        yield Case(
            f"folders/rights: {name}", play, quick=name in ("the run cannot be entered", "the data cannot be entered")
        )
