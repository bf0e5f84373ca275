"""`translate`: killed and told to end at any moment, with a record that is damaged, names and videos of all sorts."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.campaign.harms import HARMS
from tests.campaign.launch import Running
from tests.campaign.material import TRANSLATED
from tests.campaign.stage import Case, Stage

_MODEL = ("--checkpoint", "run/checkpoints/last.pt", *TRANSLATED)
_TRANSLATE = ("translate", *_MODEL, "--input", "photos", "--output", "out")
_FILM = ("translate", *_MODEL, "--input", "film.mp4", "--output", "out")
_RECORD = ".translated.jsonl"
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
_COPIES = 120
"""Photos for a translation that takes a second or two."""
_KILLS, _EACH, _HARMED, _FILMS = 16, 5, 3, 4
_VIDEO = ("av",)


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses moments and damage.
    """
    chance = random.Random(seed)
    yield from _interrupted(chance)
    yield from _records(seed)
    yield from _outputs()
    yield from _names()
    yield from _videos(seed)
    yield Case("translate/two at once", _two_at_once)


def _furnish(stage: Stage) -> None:
    """Many photos, all equal to one of two, so that two translations tell what all have to be."""
    stage.needs("run", "photos", "translated")
    for count in range(_COPIES):
        shutil.copyfile(stage.path(f"photos/{count % 2}.jpg"), stage.path(f"photos/more-{count}.jpg"))


def _right(stage: Stage) -> None:
    """Checks that every photo has its translation, and nothing else is there."""
    expected = {path.name for path in stage.path("photos").iterdir()}
    found = {path.name for path in stage.path("out").iterdir()} - {_RECORD}
    stage.expect(found == expected, f"{len(expected - found)} translations are missing, {len(found - expected)} others")
    whole = [stage.path(f"translated/{number}.jpg").read_bytes() for number in range(2)]
    for name in sorted(found & expected):
        number = int(name.removesuffix(".jpg").rpartition("-")[2]) % 2
        if stage.path(f"out/{name}").read_bytes() != whole[number]:
            stage.flag(f"{name} has other pixels than an undisturbed translation")


def _after(running: Running, seconds: float) -> None:
    until = time.monotonic() + seconds
    running.wait_until(lambda: time.monotonic() >= until)


def _begun(stage: Stage, running: Running) -> None:
    """Waits for the first translation."""
    folder = stage.path("out")
    running.wait_until(lambda: folder.is_dir() and len(list(folder.iterdir())) > 1)


def _interrupted(chance: random.Random) -> Iterator[Case]:
    """Whatever ended it, and whenever: the next one does the rest, and the whole is as if nothing had been."""
    kinds = [(signal.SIGKILL, count) for count in range(_KILLS)]
    kinds += [(number, count) for number in _CODES for count in range(_EACH)]
    for number, count in kinds:
        delay, early = chance.uniform(0, 0.8), count % 4 == 3

        def play(stage: Stage, number: signal.Signals = number, delay: float = delay, early: bool = early) -> None:
            _furnish(stage)
            running = stage.start(*_TRANSLATE)
            if not early:
                _begun(stage, running)
            _after(running, delay)
            running.send(number)
            stage.judge(running, {0, _CODES.get(number, -number)})
            stage.run(*_TRANSLATE, codes={0}, may_change=("out/*",))
            _right(stage)
            again = stage.run(*_TRANSLATE, codes={0})
            stage.expect("wrote 0 into" in again.out, f"a third one translates again: {again.out[:80]!r}")

        yield Case(f"translate/{number.name}, {count}", play, quick=(number, count) == (signal.SIGKILL, 0))
    for count in range(3):
        delay = chance.uniform(0, 1.5)

        def filming(stage: Stage, delay: float = delay) -> None:
            stage.needs("run", "film.mp4")
            running = stage.start(*_FILM)
            _after(running, delay)
            running.send(signal.SIGKILL)
            stage.judge(running, {0, -signal.SIGKILL})
            stage.run(*_FILM, codes={0}, may_change=("out/*",))
            stage.expect(_frames(stage.path("out/film.mp4")) == 100, "the video has not all frames")
            for path in sorted(stage.path("out").glob("*.partial*")):
                stage.flag(f"{path.name} is still there after the next translation")

        yield Case(f"translate/SIGKILL in a video, {count}", filming, libraries=_VIDEO)

    def stopped(stage: Stage) -> None:
        _furnish(stage)
        running = stage.start(*_TRANSLATE)
        _begun(stage, running)
        running.send(signal.SIGSTOP)
        time.sleep(2)
        running.send(signal.SIGCONT)
        stage.judge(running, {0})
        _right(stage)

    yield Case("translate/SIGSTOP and SIGCONT", stopped)


def _frames(path: Path) -> int:
    """The frames of a video, counted by PyAV itself."""
    import av

    try:
        with av.open(str(path)) as file:
            return sum(1 for _ in file.decode(video=0))
    except (OSError, ValueError):
        return 0


def _records(seed: int) -> Iterator[Case]:
    """What a record says that is not right is not believed: the translation ends well, or is refused."""

    def harmed(name: str, change: Callable[[Path], object]) -> Case:
        def play(stage: Stage) -> None:
            _furnish(stage)
            stage.run(*_TRANSLATE, codes={0})
            change(stage.path(f"out/{_RECORD}"))
            outcome = stage.run(*_TRANSLATE, codes={0, 2}, may_change=("out/*",), unprivileged=True, limit=40)
            if outcome.code == 0:
                _right(stage)

        return Case(f"translate/a record {name}", play)

    for harm_name, harm in HARMS.items():
        for count in range(_HARMED):
            draws = random.Random(f"{seed} {harm_name} {count}")

            def change(path: Path, harm: Callable[..., bytes] = harm, draws: random.Random = draws) -> None:
                path.write_bytes(harm(path.read_bytes(), draws))

            yield harmed(f"with {harm_name}, {count}, seed {seed}", change)

    def other(make: Callable[[Path], object]) -> Callable[[Path], object]:
        def change(path: Path) -> None:
            path.unlink()
            make(path)

        return change

    for name, make in {
        "that is gone": lambda path: None,
        "that is a folder": os.mkdir,
        "that is a FIFO": os.mkfifo,
        "that is a link to itself": lambda path: path.symlink_to(path.name),
        "that is a link to a photo": lambda path: path.symlink_to("../photos/0.jpg"),
        "that is a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "that is empty": lambda path: path.touch(),
        "without permission": lambda path: path.touch(0),
        "of deep lists": lambda path: path.write_text("[" * 100_000),
        "of a long line": lambda path: path.write_text("x" * 20_000_000),
    }.items():
        yield harmed(name, other(make))


def _outputs() -> Iterator[Case]:
    """Outputs that nothing may be written to."""
    makers: dict[str, tuple[str, Callable[[Path], object], Sequence[int]]] = {
        "a file": ("out", lambda path: path.write_text("x"), (2,)),
        "a FIFO": ("out", os.mkfifo, (2,)),
        "a link to itself": ("out", lambda path: path.symlink_to("out"), (2,)),
        "a link to nothing": ("out", lambda path: path.symlink_to("nothing"), (0, 2)),
        "a folder that cannot be written to": ("out", lambda path: path.mkdir(0o555), (1, 2)),
        "below a folder that cannot be written to": ("out/x", lambda path: path.mkdir(0o555), (1, 2)),
        "below a file": ("out/x", lambda path: path.write_text("x"), (2,)),
        "a folder with a file in the way": ("out", lambda path: _blocked(path, "file"), (2,)),
        "a folder with a folder in the way": ("out", lambda path: _blocked(path, "folder"), (2,)),
        "a folder with a FIFO in the way": ("out", lambda path: _blocked(path, "FIFO"), (2,)),
        "a folder with a link in the way": ("out", lambda path: _blocked(path, "link"), (2,)),
        "/dev/null": ("/dev/null", lambda path: None, (2,)),
        "/dev/full": ("/dev/full", lambda path: None, (2,)),
        "/proc": ("/proc", lambda path: None, (1, 2)),
        "a name that is too long": ("x" * 300, lambda path: None, (2,)),
        "nothing": ("", lambda path: None, (0, 2)),  # which is the folder where one is
        "the photos": ("photos", lambda path: None, (2,)),
        "the photos by another name": ("./photos/../photos", lambda path: None, (2,)),
        "the folder above": (".", lambda path: None, (0, 2)),
    }
    for name, (target, make, codes) in makers.items():

        def play(
            stage: Stage, target: str = target, make: Callable[[Path], object] = make, codes: Sequence[int] = codes
        ) -> None:
            stage.needs("run", "photos")
            make(stage.path("out"))
            stage.run(*_TRANSLATE[:-1], target, codes=codes, unprivileged=True, limit=40)

        yield Case(f"translate/onto {name}", play)


def _blocked(folder: Path, kind: str) -> None:
    """Makes a folder in which something has the name of a translation."""
    folder.mkdir()
    path = folder / "0.jpg"
    makers: dict[str, Callable[[], object]] = {
        "file": lambda: path.write_text("x"),
        "folder": path.mkdir,
        "FIFO": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to("../photos/1.jpg"),
    }
    makers[kind]()


_NAMES: dict[str, Sequence[str]] = {
    "in many scripts": ("写真.jpg", "фото.jpg", "φωτο.jpg", "صورة.jpg", "תמונה.jpg", "사진.jpg", "ภาพ.jpg", "फोटो.jpg"),
    "in two Unicode forms": ("\u00e9.jpg", "e\u0301.jpg"),
    "that differ in case": ("a.jpg", "A.jpg", "a.JPG"),
    "with one stem": ("a.jpg", "a.png", "a.gif", "a.psd"),
    "with a line break": ("a\nb.jpg",),
    "with an escape sequence": ("\x1b[2Jx.jpg",),
    "of bytes that are no text": (os.fsdecode(b"\xff\xfe.jpg"),),
    "of 255 bytes": ("x" * 251 + ".jpg",),
    "that begin with a dash": ("-rf.jpg", "--output.jpg"),
    "with spaces": ("   .jpg", " a .jpg"),
    "without a suffix": ("photo",),
    "with patterns in them": ("*.jpg", "[a].jpg", "?.jpg"),
    "with percent signs": ("%s%d.jpg", "{0}.jpg"),
    "with a colon": ("12:30.jpg", "file:x.jpg"),
    "from right to left": ("\u202egpj.exe.jpg",),
}


def _names() -> Iterator[Case]:
    """Pictures with odd names, each of which is translated to a file of its own."""
    for name, files in _NAMES.items():

        def play(stage: Stage, files: Sequence[str] = files) -> None:
            stage.needs("run", "photos")
            source = stage.path("photos/0.jpg").read_bytes()
            for file in files:
                (stage.path("photos") / file).write_bytes(source)
            stage.run(*_TRANSLATE, codes={0})
            found = {path.name for path in stage.path("out").iterdir()} - {_RECORD}
            stage.expect(len(found) == 2 + len(files), f"{len(found)} translations of {2 + len(files)} pictures")

        yield Case(f"translate/names {name}", play)
    for file in ("-x.mp4", "12:30.mp4", "concat:a.mp4", "a\nb.mp4", "фильм.mp4", "%03d.mp4", os.fsdecode(b"\xff.mp4")):

        def film(stage: Stage, file: str = file) -> None:
            stage.needs("run")
            videos = stage.path("videos")
            videos.mkdir()
            stage.needs("film.mp4").rename(videos / file)
            stage.run("translate", *_MODEL, "--input", "videos", "--output", "out", codes={0})
            stage.expect(_frames(stage.path("out") / file) == 100, "the video has not all frames")

        yield Case(f"translate/a video called {file!r}", film, libraries=_VIDEO)


def _videos(seed: int) -> Iterator[Case]:
    """Videos that are damaged, or none: what can be read is translated, and the rest is told."""
    frames = ("frames", "--video", "film.mp4", "--output", "domain", "--every", "0.5s")
    for command, words in (("translate", _FILM), ("frames", frames)):
        for harm_name, harm in HARMS.items():
            for count in range(_FILMS):
                draws = random.Random(f"{seed} {command} {harm_name} {count}")

                def damaged(
                    stage: Stage,
                    words: Sequence[str] = words,
                    harm: Callable[..., bytes] = harm,
                    draws: random.Random = draws,
                ) -> None:
                    stage.needs("run")
                    film = stage.needs("film.mp4")
                    film.write_bytes(harm(film.read_bytes(), draws))
                    stage.run(words[0], *words[1:], codes={0, 1, 2})
                    whole = stage.path("out/film.mp4")
                    stage.expect(not whole.exists() or _frames(whole), "it wrote a video without frames")

                name = f"translate/{command} of a video with {harm_name}, {count}, seed {seed}"
                yield Case(name, damaged, libraries=_VIDEO)
    kinds: dict[str, Callable[[Path], object]] = {
        "nothing": lambda path: path.touch(),
        "text": lambda path: path.write_text("hello"),
        "a JPEG": lambda path: path.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF"),
        "a playlist": lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        "a list of files": lambda path: path.write_text("ffconcat version 1.0\nfile /etc/passwd\n"),
        "a folder": os.mkdir,
        "a FIFO": os.mkfifo,
        "a link to itself": lambda path: path.symlink_to("film.mp4"),
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "1 GB of nothing": _sparse,
    }
    for command, words in (("translate", _FILM), ("frames", frames)):
        for name, make in kinds.items():

            def play(stage: Stage, words: Sequence[str] = words, make: Callable[[Path], object] = make) -> None:
                stage.needs("run")
                make(stage.path("film.mp4"))
                codes = (1, 2)
                stage.run(words[0], *words[1:], codes=codes, limit=40)

            yield Case(f"translate/{command} of {name} called film.mp4", play, libraries=_VIDEO)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**30)


def _two_at_once(stage: Stage) -> None:
    """One of them works, and the other one is refused, or comes when all is done."""
    _furnish(stage)
    both = [stage.start(*_TRANSLATE) for _ in range(2)]
    codes = sorted(stage.judge(running, {0, 2}, may_change=("out/*",), tidy=False).code for running in both)
    stage.expect(codes[0] == 0, f"both are refused: {codes}")
    _right(stage)
