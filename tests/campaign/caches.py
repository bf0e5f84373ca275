"""Caches and weights that others wrote: what is not right there is computed again, or refused."""

from __future__ import annotations

import io
import json
import os
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.campaign import damage
from tests.campaign.harms import NO_FILES
from tests.campaign.material import SCORED, TINY
from tests.campaign.stage import Case, Stage

_SCORE = ("evaluate", "--generated", "generated", "--reference", "paintings", *SCORED, "--json", "numbers.json")
_FLIPS = 15


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses the bits that are flipped.
    """
    yield from _entries(random.Random(seed))
    yield from _forged()
    yield from _folders()
    yield from _weights()


def _scored_alike(stage: Stage, prepare: Callable[[Path], object], codes: Sequence[int] = (0,), **given: Any) -> None:
    """Scores with a cache in which every entry was changed; the numbers must be those of the whole one."""
    stage.needs("generated", "paintings", "weights.pth", "score.json")
    stage.material.copy("home", stage.home.parent)
    for path in sorted((stage.home / ".cache" / "monet" / "features").iterdir()):
        prepare(path)
    outcome = stage.run(*_SCORE, codes=codes, limit=40, **given)
    if outcome.code == 0:
        numbers, whole = (json.loads(stage.path(name).read_text()) for name in ("numbers.json", "score.json"))
        stage.expect(numbers == whole, f"another score: MiFID {numbers.get('mifid')} instead of {whole.get('mifid')}")


def _entry(name: str, change: Callable[[bytes], bytes], *, quick: bool = False) -> Case:
    def play(stage: Stage) -> None:
        _scored_alike(stage, lambda path: path.write_bytes(change(path.read_bytes())))

    return Case(f"caches/{name}", play, quick=quick)


def _entries(chance: random.Random) -> Iterator[Case]:
    def each(part: str, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        """Another content of the member that is called so."""
        return lambda data: damage.zipped(
            [(name, change(content) if part in name else content) for name, content in damage.members(data)]
        )

    def dropping(part: str) -> Callable[[bytes], bytes]:
        return lambda data: damage.zipped([item for item in damage.members(data) if part not in item[0]])

    def header(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
        """Another header of the array of features, with a right checksum."""
        return each("features", lambda content: _patched(content, old, new))

    changes: dict[str, Callable[[bytes], bytes]] = {
        "emptied": lambda data: b"",
        "text": lambda data: b"hello",
        "cut": lambda data: data[: len(data) // 2],
        "a shape of billions": header(b"64)", b"4611686018427387904)"),
        "a negative shape": header(b"64)", b"-64)"),
        "objects": header(b"<f4", b"|O"),
        "another type": header(b"<f4", b"<i4"),
        "no type": header(b"<f4", b"xyz"),
        "a header that is code": header(b"{'descr'", b"__import__('os').system('touch harmed') or {'descr'"),
        "a header that is no dictionary": header(b"{'descr'", b"['descr'"),
        "a header with an open bracket": header(b"}", b"{"),
        "a header of deep brackets": header(b"{'descr'", b"(" * 3000 + b"{'descr'"),
        "another version of the format": each("", lambda content: content[:6] + b"\x09" + content[7:]),
        "no mark of the format": each("", lambda content: b"x" + content),
        "no features": dropping("features"),
        "no key": dropping("key"),
        "no digest": dropping("digest"),
        "its members compressed": lambda data: damage.zipped(damage.members(data), zipfile.ZIP_DEFLATED),
        "its members compressed otherwise": lambda data: damage.zipped(damage.members(data), zipfile.ZIP_LZMA),
        "an unknown method": lambda data: damage.local(damage.central(data, 10, "<H", 99), 8, "<H", 99),
        "an encryption flag": lambda data: damage.local(damage.central(data, 8, "<H", 1), 6, "<H", 1),
        "a bare array": lambda data: _array(np.ones((4, 64), np.float32)),
        "a text for the key": each("key", lambda content: _array(np.array("x"))),
        "an object for the key": each("key", lambda content: content.replace(b"<U", b"|O")),
        "two digests": each("digest", lambda content: _array(np.array(["x", "y"]))),
        "a local name that contradicts": lambda data: damage.local(data, 30, "<H", 0x5858),
        "a size of 4 GB": lambda data: damage.central(data, 24, "<I", 0xFFFFFFF0),
    }
    for name, change in changes.items():
        yield _entry(f"an entry with {name}", change, quick=name in ("an encryption flag", "objects"))
    for number in range(_FLIPS):
        share, where = chance.random(), ("anywhere", "the directory", "a local header")[number % 3]

        def flip(data: bytes, share: float = share, where: str = where) -> bytes:
            flipped = bytearray(data)
            at = damage.place(flipped, where, share)
            flipped[at // 8] ^= 1 << at % 8
            return bytes(flipped)

        yield _entry(f"a bit flipped in {where}, {number}", flip)
    for name, make in NO_FILES.items():

        def replaced(path: Path, make: Callable[[Path], object] = make) -> None:
            path.unlink()
            make(path)

        def play(stage: Stage, replaced: Callable[[Path], object] = replaced) -> None:
            _scored_alike(stage, replaced, unprivileged=True)

        yield Case(f"caches/an entry that is {name}", play, quick=name == "a FIFO")


def _patched(content: bytes, old: bytes, new: bytes) -> bytes:
    """An array file with another header, padded or cut to the length that its start tells."""
    length = int.from_bytes(content[8:10], "little")
    header = content[10 : 10 + length].replace(old, new).rstrip()
    header += b" " * max(0, length - 1 - len(header)) + b"\n"
    return content[:8] + len(header).to_bytes(2, "little") + header + content[10 + length :]


def _array(value: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, value)
    return file.getvalue()


def _forged() -> Iterator[Case]:
    """Features that cannot be those of the pictures, sealed as the program itself seals them."""
    inf = float("inf")
    changes: dict[str, Callable[[Any], Any]] = {
        "fewer rows": lambda features: features[:-1],
        "no rows": lambda features: features[:0],
        "more rows": lambda features: np.concatenate([features, features]),
        "fewer columns": lambda features: features[:, :-1],
        "NaN": lambda features: np.where(np.arange(features.shape[1]) == 3, np.float32(np.nan), features),
        "infinity": lambda features: np.where(np.arange(features.shape[1]) == 3, np.float32(inf), features),
        "doubles": lambda features: features.astype(np.float64),
        "another rank": lambda features: features[None],
    }
    for name, change in changes.items():

        def forge(path: Path, change: Callable[[Any], Any] = change) -> None:
            from monet.scoring.cache import FeatureCache, FeatureKey

            with np.load(path) as entry:
                features, key = entry["features"], json.loads(str(entry["key"]))
            path.unlink()
            FeatureCache(path.parent).put(FeatureKey(**key), change(features))

        def play(stage: Stage, forge: Callable[[Path], object] = forge) -> None:
            _scored_alike(stage, forge)

        yield Case(f"caches/forged: {name}", play, quick=name in ("NaN", "fewer rows"))


def _folders() -> Iterator[Case]:
    """A cache that cannot be written to, or is no folder, is done without."""
    makers: dict[str, Callable[[Path], object]] = {
        "a file": lambda path: path.write_text("x"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "a FIFO": os.mkfifo,
        "a folder without permission": lambda path: path.mkdir(0o000),
        "a folder that cannot be written to": lambda path: path.mkdir(0o555),
    }
    for part in (".cache", ".cache/monet", ".cache/monet/features"):
        for name, make in makers.items():

            def play(stage: Stage, part: str = part, make: Callable[[Path], object] = make) -> None:
                stage.needs("generated", "paintings", "weights.pth")
                path = stage.home / part
                path.parent.mkdir(parents=True, exist_ok=True)
                make(path)
                stage.run(*_SCORE, codes={0}, unprivileged=True, limit=40)

            yield Case(f"caches/{part} is {name}", play)


def _weights() -> Iterator[Case]:
    """Weights of Inception that are none, or not whole."""

    def state(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], object]:
        def make(path: Path) -> None:
            values = torch.load(path, weights_only=True)
            path.unlink()
            torch.save(change(values), path)

        return make

    def changed(**new: Any) -> Callable[[Path], object]:
        name = "Conv2d_1a_3x3.conv.weight"
        return state(lambda values: {**values, name: new["by"](values[name])})

    def fresh(make: Callable[[Path], object]) -> Callable[[Path], object]:
        def replace(path: Path) -> None:
            path.unlink()
            make(path)

        return replace

    def program(path: Path) -> None:
        class Harm:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.system, ("touch harmed",)

        torch.save({"x": Harm()}, path)

    def cut(path: Path) -> None:
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[: len(data) // 2])

    nan = float("nan")
    makers: dict[str, Callable[[Path], object]] = {
        "empty": fresh(lambda path: path.write_bytes(b"")),
        "text": fresh(lambda path: path.write_text("hello")),
        "a folder": fresh(os.mkdir),
        "a FIFO": fresh(os.mkfifo),
        "a link to itself": fresh(lambda path: path.symlink_to(path.name)),
        "a link to /dev/zero": fresh(lambda path: path.symlink_to("/dev/zero")),
        "a program": fresh(program),
        "a list": fresh(lambda path: torch.save([1, 2], path)),
        "a tensor": fresh(lambda path: torch.save(torch.ones(3), path)),
        "an empty state": fresh(lambda path: torch.save({}, path)),
        "a state of other names": fresh(lambda path: torch.save({"x": torch.ones(3)}, path)),
        "cut": cut,
        "with a tensor missing": state(lambda values: dict(list(values.items())[1:])),
        "with a tensor of another shape": changed(by=lambda tensor: tensor[:, :2]),
        "with NaN": changed(by=lambda tensor: tensor * nan),
        "with integers": changed(by=lambda tensor: tensor.to(torch.int64)),
        "with complex numbers": changed(by=lambda tensor: tensor.to(torch.complex64)),
        "with a sparse tensor": changed(by=lambda tensor: tensor.to_sparse()),
        "with names that are numbers": state(lambda values: dict([(1, torch.ones(3)), *values.items()])),
    }
    for name, make in makers.items():

        def play(stage: Stage, make: Callable[[Path], object] = make) -> None:
            stage.needs("generated", "paintings", "weights.pth")
            make(stage.path("weights.pth"))
            stage.run(*_SCORE, codes={2}, limit=40)
            stage.expect(not stage.path("harmed").exists(), "the weights ran a command")

        yield Case(f"caches/weights: {name}", play, quick=name == "a FIFO")

    def constant(stage: Stage) -> None:
        stage.needs("generated", "paintings", "weights.pth")
        words = ("--feature-layer", "2048", "--inception-weights", "weights.pth")
        stage.run("evaluate", "--generated", "generated", "--reference", "paintings", *words, codes={2})

    yield Case("caches/weights: constant features", constant)
    for name in ("empty", "a folder", "a FIFO", "text"):

        def torch_cache(stage: Stage, make: Callable[[Path], object] = makers[name]) -> None:
            stage.needs("generated", "paintings", "data")
            folder = stage.home / "torch" / "hub" / "checkpoints"
            folder.mkdir(parents=True)
            path = folder / "weights-inception-2015-12-05-6726825d.pth"
            path.touch()
            make(path)
            stage.run("evaluate", "--generated", "generated", "--reference", "paintings", codes={2}, limit=40)
            words = ("--data", "data", "--run", "run", *TINY, "--training.epochs", "1")
            stage.run("submit", *words, codes={0}, limit=40)

        yield Case(f"caches/torch's own weights: {name}", torch_cache)
