"""Signals at any moment. What was trained is kept, and the resumed run paints what an undisturbed one paints."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence

from tests.campaign.launch import Running
from tests.campaign.material import PAINT, PAINTED, SAVING, SCORED, STEPS, TINY, TRANSLATED
from tests.campaign.stage import Case, Stage

_SUBMIT = ("submit", "--data", "data", "--run", "run", *TINY, *SAVING, *STEPS, "--resume")
_MODEL = ("--checkpoint", "run/checkpoints/last.pt")
_ONNX = ("onnx", "onnxruntime", "onnxscript", "safetensors")
_MEMORY = 3 * 2**30
"""Bytes that the export of a graph may hold; PyTorch's tracer takes much of it."""
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
_EACH, _KILLS, _EARLY = 8, 14, 5
"""How many moments are chosen at random."""
Moment = Callable[[Stage, Running], object]


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses the moments.
    """
    chance = random.Random(seed)
    for number in _CODES:
        for count in range(_EACH):
            moment = ("training", "training", "painting", "reading", "scoring")[count % 5]
            yield _ended(f"{number.name} while {moment}, {count}", number, _at(moment, chance.uniform(0, 0.6)))
    for count in range(_KILLS):
        moment = ("reading", "training", "training", "saving", "painting", "archive")[count % 6]
        yield _killed(f"SIGKILL at {moment}, {count}", _at(moment, chance.uniform(0, 0.4)))
    yield from _repeated()
    yield from _other_commands(chance)
    yield from _early(chance)
    yield from _harmless()


def _at(what: str, delay: float) -> Moment:
    """Waits until a part of the run has begun, and a while longer."""

    def wait(stage: Stage, running: Running) -> None:
        run = stage.path("run")
        begun: dict[str, Callable[[], object]] = {
            "reading": lambda: "reading" in running.err or "not going to score" in running.err,
            "training": lambda: (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size,
            "saving": lambda: any(run.glob("checkpoints/*.partial")) or (run / "checkpoints/epoch-0001.pt").exists(),
            "painting": lambda: "painting" in running.err,
            "archive": lambda: (run / "images.zip.partial").exists() or (run / "images.zip").exists(),
            "scoring": lambda: (run / "images.zip").exists(),
            "anything": lambda: True,
        }
        running.wait_until(begun[what])
        until = time.monotonic() + (delay if what in ("training", "reading", "anything") else delay / 10)
        running.wait_until(lambda: time.monotonic() >= until)

    return wait


def _ended(
    name: str, number: signal.Signals, moment: Moment, *more: tuple[float, signal.Signals], quick: bool = False
) -> Case:
    """A run that is told to end, once or more, says so, keeps what it has, and is resumed."""

    def play(stage: Stage) -> None:
        stage.needs("data", "undisturbed")
        running = stage.start(*_SUBMIT)
        moment(stage, running)
        running.send(number)
        for delay, again in more:
            until = time.monotonic() + delay
            running.wait_until(lambda until=until: time.monotonic() >= until)  # type: ignore[misc]
            running.send(again)
        outcome = stage.judge(running, {0, _CODES[number]})
        if outcome.code and "is saved" in outcome.err:
            stage.expect(
                stage.path("run/checkpoints/last.pt").is_file(), "it says that a checkpoint is saved, and there is none"
            )
        _resumed_alike(stage)

    return Case(f"signals/{name}", play, quick=quick)


def _killed(name: str, moment: Moment) -> Case:
    def play(stage: Stage) -> None:
        stage.needs("data", "undisturbed")
        running = stage.start(*_SUBMIT)
        moment(stage, running)
        running.send(signal.SIGKILL)
        stage.judge(running, {0, -signal.SIGKILL})
        _resumed_alike(stage)

    return Case(f"signals/{name}", play)


def _resumed_alike(stage: Stage) -> None:
    stage.run(*_SUBMIT, codes={0}, may_change=("run/*",))
    found = stage.archive("run/images.zip", PAINTED)
    whole = stage.path("undisturbed/images.zip").read_bytes()
    stage.expect(found == whole, "the resumed run painted other pixels than an undisturbed one")
    for path in sorted(stage.path("run").rglob("*.partial*")):
        stage.flag(f"{path.name} is still there after the resumed run")


def _repeated() -> Iterator[Case]:
    """A second signal, soon, later, and of another kind."""
    training, painting = _at("training", 0.1), _at("painting", 0.0)
    ctrl_c, term = signal.SIGINT, signal.SIGTERM
    yield _ended("Ctrl-C twice at once while training", ctrl_c, training, (0.0, ctrl_c), quick=True)
    yield _ended("Ctrl-C twice within a second while training", ctrl_c, training, (0.3, ctrl_c))
    yield _ended("Ctrl-C twice while training", ctrl_c, training, (1.2, ctrl_c))
    yield _ended("Ctrl-C twice at once while painting", ctrl_c, painting, (0.0, ctrl_c))
    yield _ended("Ctrl-C twice while painting", ctrl_c, painting, (0.02, ctrl_c))
    yield _ended("Ctrl-C twice late while painting", ctrl_c, painting, (1.1, ctrl_c))
    yield _ended("Ctrl-C ten times while painting", ctrl_c, painting, *[(0.005, ctrl_c)] * 9)
    yield _ended("Ctrl-C ten times while training", ctrl_c, training, *[(0.02, ctrl_c)] * 9)
    yield _ended("SIGTERM twice while painting", term, painting, (0.02, term))
    yield _ended("SIGTERM ten times at the archive", term, _at("scoring", 0.0), *[(0.01, term)] * 9)

    def mixed(stage: Stage) -> None:
        stage.needs("data", "undisturbed")
        running = stage.start(*_SUBMIT)
        training(stage, running)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            running.send(number)
        stage.judge(running, {0, 129, 130, 143})
        _resumed_alike(stage)

    yield Case("signals/three kinds at once", mixed)


def _other_commands(chance: random.Random) -> Iterator[Case]:
    """Commands that have nothing to save end at once, with one line, and leave nothing half done."""
    commands: dict[str, Sequence[str]] = {
        "generate": (
            "generate",
            "--checkpoint",
            "run/checkpoints/last.pt",
            *PAINT,
            "--zip",
            "x.zip",
            "--batch-size",
            "1",
        ),
        "evaluate": ("evaluate", "--generated", "photos", "--reference", "paintings", *SCORED, "--json", "n.json"),
        "validate": ("validate", "many.zip", "--rules", "any"),
        "compare": (
            "compare",
            "--run",
            "run",
            "--photos",
            "photos",
            "--reference",
            "paintings",
            *SCORED,
            "--device",
            "cpu",
        ),
        "doctor": ("doctor",),
        "kernel": ("kernel", "build", "--folder", "built"),
        "translate": ("translate", *_MODEL, *TRANSLATED, "--input", "photos", "--output", "out"),
        "frames": ("frames", "--video", "film.mp4", "--output", "domain", "--every", "0.1s"),
        "export": ("export", *_MODEL, "--safetensors", "m.safetensors"),
        "export of a graph": ("export", *_MODEL, "--onnx", "m.onnx", "--hub", "hub"),
    }
    libraries = {"frames": ("av", "imagehash"), "export": ("safetensors",), "export of a graph": _ONNX}
    for name, words in commands.items():
        for count, number in enumerate((*_CODES, signal.SIGINT, signal.SIGKILL, signal.SIGKILL)):
            delay = chance.uniform(0.02, 6.0 if name == "export of a graph" else 0.5)

            def play(
                stage: Stage,
                name: str = name,
                words: Sequence[str] = words,
                number: signal.Signals = number,
                delay: float = delay,
            ) -> None:
                _many(stage)
                if name in ("evaluate", "compare"):
                    stage.needs("paintings", "weights.pth")
                if name == "frames":
                    stage.needs("film.mp4")
                running = stage.start(*words)
                _at("anything", delay)(stage, running)
                running.send(number)
                codes = {0, _CODES.get(number, -number)}
                stage.judge(running, codes, may_change=("run/report.html",), memory=_MEMORY)
                if stage.path("x.zip").exists():
                    stage.archive("x.zip", 62)

            yield Case(f"signals/{number.name} at {name}, {count}", play, libraries=libraries.get(name, ()))


def _many(stage: Stage) -> None:
    stage.needs("run", "photos", "pictures.zip")
    for count in range(60):
        shutil.copyfile(stage.path("photos/0.jpg"), stage.path(f"photos/more-{count}.jpg"))
    from tests.campaign import damage

    files = damage.members(stage.path("pictures.zip").read_bytes())
    stage.path("many.zip").write_bytes(damage.zipped([(f"{count}.jpg", files[0][1]) for count in range(800)]))


def _early(chance: random.Random) -> Iterator[Case]:
    """Signals to a new interpreter while it imports; before the program's first line they are Python's own."""
    for number in _CODES:
        for count in range(_EARLY):
            delay = chance.uniform(0.03, 0.3) if count % 2 else chance.uniform(0.3, 2.5)

            def play(stage: Stage, number: signal.Signals = number, delay: float = delay) -> None:
                stage.needs("data")
                running = stage.start(*_SUBMIT, fresh=True)
                _at("anything", delay)(stage, running)
                running.send(number)
                outcome = stage.judge(running, {0, _CODES[number], -number})
                if "pipelines" not in outcome.err and "monet" not in outcome.err and delay < 0.3:
                    stage.flags.clear()  # a traceback of Python's own start

            yield Case(f"signals/{number.name} to a new interpreter, {count}", play)


def _harmless() -> Iterator[Case]:
    """Signals that are no reason to end."""
    for number in (signal.SIGWINCH, signal.SIGPIPE, signal.SIGCHLD, signal.SIGURG, signal.SIGCONT):

        def play(stage: Stage, number: signal.Signals = number) -> None:
            stage.needs("data", "undisturbed")
            running = stage.start(*_SUBMIT)
            _at("training", 0.1)(stage, running)
            running.send(number)
            stage.judge(running, {0})
            stage.archive("run/images.zip", PAINTED)

        yield Case(f"signals/{number.name} changes nothing", play)

    def stopped(stage: Stage) -> None:
        stage.needs("data", "undisturbed")
        running = stage.start(*_SUBMIT)
        _at("training", 0.1)(stage, running)
        running.send(signal.SIGSTOP)
        time.sleep(3)
        running.send(signal.SIGCONT)
        stage.judge(running, {0})
        same = stage.archive("run/images.zip", PAINTED) == stage.path("undisturbed/images.zip").read_bytes()
        stage.expect(same, "a run that was stopped for a while painted other pixels")

    yield Case("signals/SIGSTOP and SIGCONT", stopped)

    def hung_up(stage: Stage) -> None:
        stage.needs("data")
        running = stage.start(*_SUBMIT, fresh=True, before=("nohup",))
        _at("training", 0.1)(stage, running)
        running.send(signal.SIGHUP)
        stage.judge(running, {0})
        stage.archive("run/images.zip", PAINTED)

    yield Case("signals/SIGHUP under nohup", hung_up)
