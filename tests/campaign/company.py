"""Other processes beside a command: of the same run, of the same files, and strangers that compute."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.campaign.launch import Running
from tests.campaign.material import PAINT, PAINTED, PHOTOS, SAVING, SCORED, STEPS, TINY
from tests.campaign.stage import LIMIT, Case, Stage

_SUBMIT = ("submit", "--data", "data", "--run", "run", *TINY, *SAVING, *STEPS)
_LONG = (*_SUBMIT, "--training.epochs", "100000")
_OWN = {
    "config.yaml",
    "environment.json",
    "metrics.jsonl",
    "checkpoints",
    "samples",
    "curves.png",
    "scores.jsonl",
    "report.html",
    "images.zip",
    "tracking",
}
"""What a run's folder holds besides a lock."""


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses the moments.
    """
    chance = random.Random(seed)
    yield from _second(chance)
    yield from _left_locks()
    yield from _beside(chance)
    yield Case("company/a short budget beside a process that computes", _short_budget)


def _training(stage: Stage, running: Running) -> bool:
    metrics = stage.path("run/metrics.jsonl")
    return running.wait_until(lambda: metrics.exists() and metrics.stat().st_size > 0)


def _end(stage: Stage, running: Running) -> None:
    """Ends a long run, which must have been undisturbed, and is resumed by a short one."""
    stage.expect(not running.ended(), "the first process ended")
    running.send(signal.SIGTERM)
    stage.judge(running, {143}, may_change=("run/*",))


def _second(chance: random.Random) -> Iterator[Case]:
    """A second process of the same run is refused at once, and says which process holds it."""
    seconds: dict[str, Sequence[str]] = {
        "as the first": _LONG,
        "with --resume": (*_LONG, "--resume"),
        "that trains": ("train", *_LONG[1:-6], "--resume", "--training.epochs", "5"),
        "by another path": tuple("./x/../run" if word == "run" else word for word in (*_LONG, "--resume")),
        "through a link": tuple("link" if word == "run" else word for word in (*_LONG, "--resume")),
        "by its whole path": (*_LONG, "--resume"),
        "that paints with a checkpoint": (*_SUBMIT, "--resume", "--paint-with", "last.pt"),
    }
    for name, words in seconds.items():
        for resumed in (False, True):

            def play(stage: Stage, name: str = name, words: Sequence[str] = words, resumed: bool = resumed) -> None:
                stage.needs("data")
                stage.path("x").mkdir()
                stage.path("link").symlink_to("run")
                first = stage.start(*_LONG, *(["--resume"] if resumed else []))
                _training(stage, first)
                if name == "by its whole path":
                    words = tuple(str(stage.path("run")) if word == "run" else word for word in words)
                says = (str(first.pid),) if "--resume" in words else ()
                begun = time.monotonic()
                second = stage.start(*words)
                outcome = stage.judge(
                    second, {2}, says=says, may_change=("run/*",), limit=20, tidy=False
                )  # the first writes
                stage.expect(outcome.hung or time.monotonic() - begun < 15, "it was not refused at once")
                _end(stage, first)
                stage.expect(not list(stage.path("run").rglob("*.partial")), "an unfinished file was left behind")
                stage.run(*_SUBMIT, "--resume", "--training.epochs", "1", codes={0}, may_change=("run/*",))
                stage.archive("run/images.zip", PAINTED)

            quick = (name, resumed) == ("with --resume", True)
            yield Case(
                f"company/a second process {name}, the first {'resumed' if resumed else 'fresh'}", play, quick=quick
            )
    for count in range(4):
        delay = chance.uniform(0, 0.4)

        def together(stage: Stage, delay: float = delay) -> None:
            stage.needs("data", "undisturbed")
            first = stage.start(*_SUBMIT, "--resume")
            until = time.monotonic() + delay
            first.wait_until(lambda: time.monotonic() >= until)
            second = stage.start(*_SUBMIT, "--resume")
            ended = [stage.judge(running, {0, 2}, may_change=("run/*",)) for running in (first, second)]
            codes = sorted(outcome.code for outcome in ended)
            stage.expect(codes == [0, 2], f"of two at once one works and one is refused, but they ended with {codes}")
            same = stage.archive("run/images.zip", PAINTED) == stage.path("undisturbed/images.zip").read_bytes()
            stage.expect(same, "two at once painted other pixels than one")

        yield Case(f"company/two at once, {delay:.2f} s apart, {count}", together)

    def while_painting(stage: Stage) -> None:
        stage.needs("data", "undisturbed")
        first = stage.start(*_SUBMIT)
        first.wait_until(lambda: "painting" in first.err)
        first.send(signal.SIGSTOP)
        second = stage.start(*_SUBMIT, "--resume")
        stage.judge(second, {2}, may_change=("run/*",), limit=30, tidy=False)
        first.send(signal.SIGCONT)
        stage.judge(first, {0}, may_change=("run/*",))
        same = stage.archive("run/images.zip", PAINTED) == stage.path("undisturbed/images.zip").read_bytes()
        stage.expect(same, "the first painted other pixels")

    yield Case("company/a second process while the first paints", while_painting)

    def stopped(stage: Stage) -> None:
        stage.needs("data")
        first = stage.start(*_LONG)
        _training(stage, first)
        first.send(signal.SIGSTOP)
        second = stage.start(*_LONG, "--resume")
        stage.judge(second, {2}, may_change=("run/*",), limit=30, tidy=False)
        first.send(signal.SIGCONT)
        _end(stage, first)

    yield Case("company/a second process while the first is stopped", stopped)


def _locks(run: Path) -> list[Path]:
    """What is in a run's folder, or beside it, for no other purpose than to hold it."""
    return [
        path
        for path in (*run.iterdir(), *run.parent.glob(f"*{run.name}?*"))
        if path.name not in _OWN and "partial" not in path.name
    ]


def _left_locks() -> Iterator[Case]:
    """What a dead process left stops no one."""

    def killed(change: Callable[[Path], object] | None, *, first_resumes: bool = False) -> Callable[[Stage], None]:
        def play(stage: Stage) -> None:
            stage.needs("data")
            if first_resumes:
                stage.run(*_SUBMIT, "--training.epochs", "1", codes={0})
            first = stage.start(*_LONG, *(["--resume"] if first_resumes else []))
            _training(stage, first)
            first.wait_until(lambda: stage.path("run/checkpoints/last.pt").exists(), 1.0)
            first.send(signal.SIGKILL)
            stage.judge(first, {-signal.SIGKILL}, may_change=("run/*",))
            for lock in _locks(stage.path("run")):
                if change:
                    change(lock)
            stage.run(*_SUBMIT, "--resume", "--training.epochs", "2", codes={0}, may_change=("run/*", "*lock*"))
            stage.archive("run/images.zip", PAINTED)

        return play

    def folder(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.mkdir()

    def content(data: bytes) -> Callable[[Path], object]:
        return lambda path: path.write_bytes(data)

    yield Case("company/the first was killed", killed(None), quick=True)
    yield Case("company/the first was killed as it resumed", killed(None, first_resumes=True))
    yield Case("company/a lock of nothing", killed(content(b"")))
    yield Case("company/a lock of noise", killed(content(os.urandom(64))))
    yield Case("company/a lock of a megabyte", killed(content(b"9" * 2**20)))
    yield Case("company/a lock of another process that lives", killed(content(str(os.getppid()).encode())))
    yield Case("company/a lock of process 1", killed(content(b"1\n")))
    yield Case("company/a lock that is gone", killed(lambda path: path.unlink()))
    yield Case("company/a lock that cannot be written to", killed(lambda path: path.chmod(0o400)))

    def other_kind(make: Callable[[Path], object]) -> Callable[[Stage], None]:
        def play(stage: Stage) -> None:
            killed(None)(stage)
            locks = _locks(stage.path("run"))
            for lock in locks:
                lock.unlink()
                make(lock)
            if locks:
                stage.run(*_SUBMIT, "--resume", "--training.epochs", "3", codes={0, 2}, may_change=("run/*",), limit=30)

        return play

    yield Case("company/a lock that is a folder", other_kind(os.mkdir))
    yield Case("company/a lock that is a FIFO", other_kind(os.mkfifo))
    yield Case("company/a lock that is a link to itself", other_kind(lambda path: path.symlink_to(path.name)))
    yield Case(
        "company/a lock that is a link to a photo", other_kind(lambda path: path.symlink_to("../data/trainA/0.jpg"))
    )

    def ended(stage: Stage) -> None:
        stage.needs("data")
        first = stage.start(*_LONG)
        _training(stage, first)
        _end(stage, first)
        stage.run(*_SUBMIT, "--resume", "--training.epochs", "1", codes={0}, may_change=("run/*",))

    yield Case("company/the first was told to end", ended)

    def failed(stage: Stage) -> None:
        stage.needs("data")
        stage.run(*_SUBMIT, "--training.lambda_cycle", "1e300", codes={1, 2})
        stage.run(*_SUBMIT, "--resume", codes={0, 1, 2}, may_change=("run/*",))
        stage.expect(
            "process" not in stage.outcomes[-1].err.split("error: ")[-1][:80],
            "a run that failed still holds its folder",
        )

    yield Case("company/the first failed", failed)


def _beside(chance: random.Random) -> Iterator[Case]:
    """Commands that only read a run continue beside one that trains it."""
    readers: dict[str, Sequence[str]] = {
        "generate": ("generate", "--checkpoint", "run/checkpoints/last.pt", *PAINT, "--zip", "x.zip"),
        "compare": (
            "compare",
            "--run",
            "run",
            "--photos",
            "photos",
            "--reference",
            "paintings",
            *SCORED,
            "--report",
            "c.html",
        ),
        "evaluate": ("evaluate", "--generated", "generated", "--reference", "paintings", *SCORED),
    }
    for name, words in readers.items():

        def play(stage: Stage, words: Sequence[str] = words) -> None:
            stage.needs("data", "photos", "paintings", "generated", "weights.pth")
            first = stage.start(*_LONG)
            first.wait_until(
                lambda: (
                    stage.path("run/checkpoints/epoch-0001.pt").exists()
                    and stage.path("run/checkpoints/last.pt").exists()
                )
            )
            stage.run(*words, codes={0, 2} if words[0] == "compare" else {0}, may_change=("run/*",), tidy=False)
            _end(stage, first)

        yield Case(f"company/{name} beside a run that trains", play)

    def twice(words: Sequence[str], check: Callable[[Stage], object]) -> Callable[[Stage], None]:
        def play(stage: Stage) -> None:
            stage.needs("data", "photos", "paintings", "generated", "weights.pth", "run", "painted.zip")
            both = [stage.start(*words) for _ in range(2)]
            for running in both:
                stage.judge(running, {0}, tidy=False, may_change=("x.zip", "n.json"))
            check(stage)
            for path in sorted(stage.place.rglob("*.partial*")):
                stage.flag(f"{path.name} was left behind")

        return play

    def painted(stage: Stage) -> None:
        stage.archive("x.zip", PHOTOS)
        stage.expect(stage.path("x.zip").read_bytes() == stage.path("painted.zip").read_bytes(), "other pixels")

    yield Case("company/two paint into one archive", twice(readers["generate"], painted))
    yield Case(
        "company/two score with one cache", twice((*readers["evaluate"], "--json", "n.json"), lambda stage: None)
    )

    def removed(stage: Stage) -> None:
        """Somebody moves the run's folder as it trains: what it has learned is saved under the old name."""
        stage.needs("data")
        first = stage.start(*_LONG)
        _training(stage, first)
        stage.path("run").rename(stage.path("elsewhere"))
        first.send(signal.SIGTERM)
        stage.judge(first, {143}, limit=LIMIT, tidy=False, may_change=("run*",))
        stage.expect(stage.path("run/checkpoints/last.pt").is_file(), "nothing was saved")

    yield Case("company/the run's folder is moved away", removed)

    def changed(stage: Stage) -> None:
        """Somebody removes photos between the reading and the painting."""
        stage.needs("data")
        first = stage.start(*_SUBMIT)
        _training(stage, first)
        for path in stage.path("data/testA").iterdir():
            path.unlink()
        stage.judge(first, {0, 1}, may_change=("data/testA/*",))

    yield Case("company/the photos are removed as it trains", changed)
    for count in range(2):
        delay = chance.uniform(0, 1)

        def torn(stage: Stage, delay: float = delay) -> None:
            """Somebody cuts the checkpoint between two processes' runs."""
            stage.needs("data")
            first = stage.start(*_LONG)
            _training(stage, first)
            until = time.monotonic() + delay
            first.wait_until(lambda: time.monotonic() >= until)
            _end(stage, first)
            os.truncate(stage.path("run/checkpoints/last.pt"), 1000)
            stage.run(*_SUBMIT, "--resume", codes={2}, says=("last.pt",))

        yield Case(f"company/the checkpoint is cut between two processes, {count}", torn)


def _short_budget(stage: Stage) -> None:
    """A stranger computes all the while; the run ends in time all the same."""
    stage.needs("data")
    stranger = os.fork()
    if stranger == 0:
        while os.getppid() != 1:
            pass
        os._exit(0)
    try:
        budget = 45
        words = ("submit", "--data", "data", "--run", "run", *TINY, "--budget", f"{budget}s", "--score", "no")
        outcome = stage.run(*words, codes={0}, limit=2 * budget)
    finally:
        os.kill(stranger, signal.SIGKILL)
        os.waitpid(stranger, 0)
    stage.archive("run/images.zip", PAINTED)
    stage.expect(outcome.seconds < budget + 2, f"{outcome.seconds:.0f} s of a budget of {budget}")
    stage.expect("late by" not in outcome.out, "it was late")
