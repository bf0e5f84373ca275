"""Checkpoints that are damaged, forged, or of another kind. What still paints must paint the same pixels."""

from __future__ import annotations

import os
import pickle
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from tests.campaign import damage
from tests.campaign.material import PAINT
from tests.campaign.stage import GIGABYTE, Case, Stage

GENERATE = ("generate", "--checkpoint", "c.pt", *PAINT, "--zip", "x.zip")
RESUME = ("submit", "--data", "data", "--run", "run", "--training.epochs", "3", "--score", "no", "--resume")
_FLIPS, _TRUNCATIONS = 40, 10
"""How many places are chosen at random."""


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses the places that are damaged.
    """
    chance = random.Random(seed)
    yield from _bytes(chance)
    yield from _zips()
    yield from _kinds()


def paints_the_same(stage: Stage, codes: Sequence[int] = (0, 2), **judged: Any) -> None:
    """Paints with `c.pt`: an error, or the pixels of the whole one."""
    stage.needs("photos", "painted.zip")
    outcome = stage.run(*GENERATE, codes=codes, says=("c.pt",), **judged)
    if outcome.code == 0:
        same = stage.path("x.zip").read_bytes() == stage.path("painted.zip").read_bytes()
        stage.expect(same, "a damaged checkpoint painted other pixels with exit 0")


def whole(stage: Stage) -> bytes:
    return (stage.material.made("run") / "checkpoints" / "last.pt").read_bytes()


def _bytes(chance: random.Random) -> Iterator[Case]:
    places = [("anywhere", chance.random()) for _ in range(_FLIPS)]
    places += [("the directory", chance.random()) for _ in range(_FLIPS)]
    places += [("a local header", chance.random()) for _ in range(_FLIPS // 4)]
    for number, (where, share) in enumerate(places):

        def flip(stage: Stage, where: str = where, share: float = share) -> None:
            data = bytearray(whole(stage))
            at = damage.place(data, where, share)
            data[at // 8] ^= 1 << at % 8
            stage.path("c.pt").write_bytes(data)
            paints_the_same(stage)

        yield Case(f"checkpoints/a bit flipped in {where}, {number}", flip, quick=number in (_FLIPS, _FLIPS + 1))
    for share in [0.0, 0.999, *(chance.random() for _ in range(_TRUNCATIONS))]:

        def cut(stage: Stage, share: float = share) -> None:
            data = whole(stage)
            stage.path("c.pt").write_bytes(data[: int(share * len(data))])
            paints_the_same(stage, (2,))

        yield Case(f"checkpoints/cut at {share:.4f}", cut)
    for share in (chance.random() for _ in range(6)):

        def zeroed(stage: Stage, share: float = share) -> None:
            data = bytearray(whole(stage))
            at = int(share * (len(data) - 4096))
            data[at : at + 4096] = bytes(4096)
            stage.path("c.pt").write_bytes(data)
            paints_the_same(stage)

        yield Case(f"checkpoints/a block zeroed at {share:.4f}", zeroed)
    for name, change in {
        "a tail": lambda data: data + b"x" * 1000,
        "a head": lambda data: b"x" * 1000 + data,
        "twice": lambda data: data + data,
        "the first half twice": lambda data: data[: len(data) // 2] * 2,
        "line ends changed": lambda data: data.replace(b"\n", b"\r\n"),
    }.items():

        def changed(stage: Stage, change: Callable[[bytes], bytes] = change) -> None:
            stage.path("c.pt").write_bytes(change(whole(stage)))
            paints_the_same(stage)

        yield Case(f"checkpoints/with {name}", changed)


def _zips() -> Iterator[Case]:
    """The zip around the checkpoint, written anew in other ways."""
    for name, rewrite in damage.REWRITES.items():

        def play(stage: Stage, rewrite: damage.Rewrite = rewrite) -> None:
            stage.path("c.pt").write_bytes(rewrite(whole(stage)))
            paints_the_same(stage, memory=3 * GIGABYTE)

        yield Case(f"checkpoints/zip with {name}", play)


def _kinds() -> Iterator[Case]:
    def sparse(path: Path) -> None:
        with open(path, "wb") as file:
            file.truncate(2 * GIGABYTE)

    def tensor(path: Path) -> None:
        torch.save(torch.ones(3), path)

    def legacy(path: Path) -> None:
        torch.save({"format": "monet-checkpoint", "version": 1}, path, _use_new_zipfile_serialization=False)

    def program(path: Path) -> None:
        class Harm:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.system, ("touch harmed",)

        torch.save({"format": "monet-checkpoint", "version": 1, "networks": Harm()}, path)

    makers: dict[str, Callable[[Path], object]] = {
        "empty": lambda path: path.write_bytes(b""),
        "text": lambda path: path.write_text("hello"),
        "a folder": os.mkdir,
        "a FIFO": os.mkfifo,
        "a link to itself": lambda path: path.symlink_to("c.pt"),
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "a link to /dev/null": lambda path: path.symlink_to("/dev/null"),
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "2 GB of nothing": sparse,
        "an empty zip": lambda path: zipfile.ZipFile(path, "w").close(),
        "a bare pickle": lambda path: path.write_bytes(pickle.dumps({"format": "monet-checkpoint"})),
        "a tensor": tensor,
        "of an older PyTorch": legacy,
        "a program": program,
        "a JPEG": lambda path: path.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF"),
    }
    for name, make in makers.items():

        def play(stage: Stage, make: Callable[[Path], object] = make) -> None:
            make(stage.path("c.pt"))
            paints_the_same(stage, (2,), limit=40, memory=4 * GIGABYTE)
            stage.expect(not stage.path("harmed").exists(), "the checkpoint ran a command")

        yield Case(f"checkpoints/{name}", play, quick=name in ("a FIFO", "a program"))
        if name in ("empty", "a folder", "a FIFO", "a link to itself", "a link to nothing", "a tensor", "a program"):

            def resumed(stage: Stage, make: Callable[[Path], object] = make) -> None:
                stage.needs("data", "run")
                stage.path("run/checkpoints/last.pt").unlink()
                make(stage.path("run/checkpoints/last.pt"))
                stage.run(*RESUME, codes={2}, limit=40)

            yield Case(f"checkpoints/resume from {name}", resumed)
