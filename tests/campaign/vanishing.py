"""Files that somebody removes, replaces or changes while a command reads them."""

from __future__ import annotations

import os
import random
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.campaign import rules
from tests.campaign.material import PAINT, SCORED, TINY, TRANSLATED
from tests.campaign.stage import Case, Stage

_SUBMIT = ("submit", "--data", "data", "--run", "run", *TINY, "--training.epochs", "2", "--score", "no")
_COPIES = 60
_EACH = 3
"""Cases of each command and change."""
Change = Callable[[Path, random.Random], object]


def _replaced(path: Path, chance: random.Random) -> None:
    """A whole photo takes the place of another one."""
    other = chance.choice(sorted(path.parent.iterdir()))
    partial = path.with_name(".new")
    shutil.copyfile(other, partial)
    partial.replace(path)


def _overwritten(path: Path, chance: random.Random) -> None:
    """Something is written into the file itself."""
    with open(path, "r+b") as file:
        file.seek(chance.randrange(path.stat().st_size))
        file.write(chance.randbytes(300))


def _grown(path: Path, chance: random.Random) -> None:
    with open(path, "ab") as file:
        file.write(chance.randbytes(100_000))


def _other_kind(make: Callable[[Path], object]) -> Change:
    def change(path: Path, _: random.Random) -> None:
        path.unlink()
        make(path)

    return change


def _moved(path: Path, _: random.Random) -> None:
    """The whole folder goes, and comes back after a while."""
    aside = path.parent.with_name("aside")
    path.parent.rename(aside)
    time.sleep(0.05)
    aside.rename(path.parent)


CHANGES: dict[str, Change] = {
    "are removed": lambda path, _: path.unlink(),
    "are cut": lambda path, chance: os.truncate(path, chance.randrange(path.stat().st_size)),
    "are emptied": lambda path, _: os.truncate(path, 0),
    "are replaced by others": _replaced,
    "are overwritten": _overwritten,
    "grow": _grown,
    "become text": lambda path, _: path.write_text("hello"),
    "become folders": _other_kind(os.mkdir),
    "become links to nothing": _other_kind(lambda path: path.symlink_to("nothing")),
    "lose their permissions": lambda path, _: path.chmod(0),
    "go and come back": _moved,
}


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses files and moments.
    """
    model = ("--checkpoint", "run/checkpoints/last.pt")
    commands: dict[str, tuple[Sequence[str], str]] = {
        "submit": (_SUBMIT, "data/testA"),
        "submit, learning": (_SUBMIT, "data/trainA"),
        "generate": (("generate", *model, *PAINT, "--zip", "x.zip", "--batch-size", "2"), "photos"),
        "generate, leaving out": (("generate", *model, *PAINT, "--zip", "x.zip", "--skip-bad"), "photos"),
        "translate": (("translate", *model, *TRANSLATED, "--input", "photos", "--output", "out"), "photos"),
        "evaluate": (("evaluate", "--generated", "photos", "--reference", "paintings", *SCORED), "photos"),
        "compare": (
            ("compare", "--run", "run", "--photos", "photos", "--reference", "paintings", *SCORED, "--device", "cpu"),
            "photos",
        ),
    }
    for command, (words, folder) in commands.items():
        for change_name, change in CHANGES.items():
            for count in range(_EACH):
                chance = random.Random(f"{seed} {command} {change_name} {count}")
                name = f"vanishing/{command}: photos {change_name}, {count}, seed {seed}"
                quick = (command, change_name, count) == ("generate", "are removed", 0)
                yield Case(name, _changing(words, folder, change, chance), quick=quick)
    yield from _videos(seed)


def _changing(words: Sequence[str], folder: str, change: Change, chance: random.Random) -> Callable[[Stage], None]:
    """A command in whose photos something changes, one photo after another, from some moment on."""

    def play(stage: Stage) -> None:
        stage.needs("photos", "paintings", "data", *(["run"] if words[0] != "submit" else []))
        if "weights.pth" in words:
            stage.needs("weights.pth")
        paths = [stage.path(f"{folder}/more-{count}.jpg") for count in range(_COPIES)]
        for path in paths:
            shutil.copyfile(stage.path(f"{folder}/0.jpg"), path)
        running = stage.start(*words, unprivileged=True)
        next_at, pause = time.monotonic() + chance.uniform(0, 1.0), chance.choice((0.0, 0.01, 0.1))
        for path in chance.sample(paths, 12):
            running.wait_until(lambda at=next_at: time.monotonic() >= at)  # type: ignore[misc]
            if running.ended():
                break
            change(path, chance)
            next_at = time.monotonic() + pause
        may_change = (f"{folder}*", "aside*", *(("run/report.html",) if words[0] == "compare" else ()))
        outcome = stage.judge(running, {0, 1, 2}, may_change=may_change, limit=90)
        archive = stage.path("x.zip" if words[0] == "generate" else "run/images.zip")
        if words[0] in ("submit", "generate"):
            stage.expect(archive.exists() or outcome.code, "exit 0 without an archive")
        if archive.exists() and words[0] in ("submit", "generate"):
            stage.flags += rules.archive_faults(archive, _members(archive))

    return play


def _members(archive: Path) -> int:
    """How many an archive has, 1 at least: there were photos all the time."""
    try:
        with zipfile.ZipFile(archive) as file:
            return max(1, len(file.namelist()))
    except zipfile.BadZipFile:
        return 1


def _videos(seed: int) -> Iterator[Case]:
    """A video that changes while it is read."""
    for command in ("translate", "frames"):
        for change_name in ("are removed", "are cut", "are emptied", "are overwritten", "grow", "become text"):
            chance = random.Random(f"{seed} {command} {change_name}")

            def play(
                stage: Stage,
                command: str = command,
                change: Change = CHANGES[change_name],
                chance: random.Random = chance,
            ) -> None:
                stage.needs("run", "film.mp4")
                model = ("--checkpoint", "run/checkpoints/last.pt", *TRANSLATED, "--input")
                words = (*model, "film.mp4") if command == "translate" else ("--video", "film.mp4")
                running = stage.start(command, *words, "--output", "out")
                until = time.monotonic() + chance.uniform(0, 0.8)
                running.wait_until(lambda: time.monotonic() >= until)
                if not running.ended():
                    change(stage.path("film.mp4"), chance)
                stage.judge(running, {0, 1, 2}, may_change=("film.mp4",))

            yield Case(f"vanishing/{command}: videos {change_name}, seed {seed}", play, libraries=("av",))
