"""Archives that are damaged or written in odd ways, and pictures in them that lenient decoders read anyhow."""

from __future__ import annotations

import io
import json
import os
import random
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from tests.campaign import damage
from tests.campaign.material import SCORED
from tests.campaign.stage import Case, Stage
from tests.conftest import picture

_FLIPS = 25
Zip = Callable[[list[tuple[str, bytes]]], bytes]


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses the bits that are flipped.
    """
    yield from _structures()
    yield from _names()
    yield from _members()
    yield from _kinds()
    yield from _pictures()
    yield from _flips(random.Random(seed))


def _validated(stage: Stage, codes: Sequence[int]) -> None:
    """Validates `a.zip`, in words and as JSON; both must come to the same verdict."""
    found = [
        stage.run("validate", "a.zip", "--rules", "any", *more, codes=codes, limit=40) for more in ((), ("--json",))
    ]
    stage.expect(found[0].code == found[1].code, "--json ends with another exit code")
    if found[1].code in (0, 1) and codes != (2,):
        try:
            report = json.loads(found[1].out)
            told = report["valid"] == (found[1].code == 0) == (not report["problems"])
        except (ValueError, KeyError, TypeError):
            told = False
        stage.expect(told, f"--json does not say valid, and why: {found[1].out[:80]!r}")


def _case(
    name: str, write: Callable[[list[tuple[str, bytes]]], bytes], codes: Sequence[int], *, quick: bool = False
) -> Case:
    def play(stage: Stage) -> None:
        files = damage.members(stage.needs("pictures.zip").read_bytes())
        stage.path("a.zip").write_bytes(write(files))
        _validated(stage, codes)

    return Case(f"archives/{name}", play, quick=quick)


def _adding(*added: tuple[str, bytes | None], method: int = zipfile.ZIP_STORED) -> Zip:
    """A zip with members more; where no content is given, that of the first picture."""
    return lambda files: damage.zipped(
        [*files, *((name, files[0][1] if data is None else data) for name, data in added)], method
    )


def _rewritten(change: Callable[[bytes], bytes]) -> Zip:
    return lambda files: change(damage.zipped(files))


def _structures() -> Iterator[Case]:
    """Of the ways to write a zip anew, those that all tools read alike are valid; the others are not."""
    for name, rewrite in damage.REWRITES.items():
        if "tensors" in name:
            continue
        valid = "compressed" in name or "order" in name or name == "no last member" or name == "no first member"
        unsure = name in ("an extra field", "several disks", "a directory of fewer bytes")
        codes: Sequence[int] = (0,) if valid else (0, 1, 2) if unsure else (1, 2)
        quick = name == "a local size that contradicts"
        yield _case(f"zip with {name}", _rewritten(rewrite), codes, quick=quick)
    wholes: dict[str, tuple[Callable[[bytes], bytes], Sequence[int]]] = {
        "nothing": (lambda data: b"", (2,)),
        "its first half": (lambda data: data[: len(data) // 2], (2,)),
        "all but its last byte": (lambda data: data[:-1], (2,)),
        "a tail": (lambda data: data + b"x" * 70_000, (1, 2)),
        "a short tail": (lambda data: data + b"x", (0, 1, 2)),
        "a head": (lambda data: b"#!/bin/sh\n" + data, (0, 1, 2)),
        "itself behind it": (lambda data: data + data, (0, 1, 2)),
        "another archive before it": (lambda data: damage.zipped([("x.jpg", b"x")]) + data, (0, 1, 2)),
        "an end mark in its comment": (
            lambda data: damage.end(data, 20, "<H", 22) + b"PK\x05\x06" + bytes(18),
            (0, 1, 2),
        ),
        "an end record alone": (lambda data: b"PK\x05\x06" + bytes(18), (1,)),
        "text": (lambda data: b"hello", (2,)),
        "a gzip": (lambda data: b"\x1f\x8b\x08" + data, (0, 1, 2)),
        "a tar": (lambda data: bytes(257) + b"ustar" + bytes(10_000), (2,)),
        "zeros": (lambda data: bytes(1_000_000), (2,)),
    }
    for name, (change, codes) in wholes.items():
        yield _case(f"the file is {name}", _rewritten(change), codes)


def _names() -> Iterator[Case]:
    """Members whose names are no plain names of images."""
    wrong = (
        *("../x.jpg", "/x.jpg", "a/x.jpg", "a\\x.jpg", "C:x.jpg", "..", ".x.jpg", "x.txt", "x", "", ".jpg", "a\nb.jpg"),
        *(
            "x.jpg/",
            "a\x00b.jpg",
            "\x1b[2J.jpg",
            "x" * 5000 + ".jpg",
            "__MACOSX/._x.jpg",
            "Thumbs.db",
            "x.jpg.exe",
            "~/x.jpg",
        ),
    )
    for name in wrong:
        shown = repr(name)[:30]
        yield _case(f"a member called {shown}", _adding((name, None)), (1, 2))
    pairs = {
        "one name twice": ("x.jpg", "x.jpg"),
        "names that differ in case": ("x.jpg", "X.JPG"),
        "one name in two Unicode forms": ("\u00e9.jpg", "e\u0301.jpg"),
        "names that differ in a ligature": ("\ufb01.jpg", "fi.jpg"),
        "names that differ in an invisible sign": ("x.jpg", "x\u200b.jpg"),
        "names that differ in a sharp s": ("ß.jpg", "ss.jpg"),
        "names that differ in a space at the end": ("x.jpg", "x.jpg "),
        "names that differ in a dot at the end": ("x.jpg", "x.jpg."),
    }
    for name, both in pairs.items():
        codes = (0, 1) if "invisible" in name or "ligature" in name else (1,)
        yield _case(
            name,
            _adding(*((one, None) for one in both)),
            codes,
            quick="Unicode" in name,
        )
    for name in ("é.jpg", "字.jpg", "🎨.jpg", "a b.jpg", "-x.jpg", "%s.jpg", "x.JPEG", "x" * 200 + ".jpg", "a..jpg"):
        yield _case(
            f"a right member called {name[:20]!r}",
            _adding((name, None)),
            (0,),
        )


def _members() -> Iterator[Case]:
    """Members of other kinds than regular files."""

    def of_kind(kind: int) -> Zip:
        def write(files: list[tuple[str, bytes]]) -> bytes:
            whole = io.BytesIO()
            with zipfile.ZipFile(whole, "w") as archive:
                for name, content in files:
                    info = zipfile.ZipInfo(name)
                    info.external_attr = (kind | 0o644) << 16
                    archive.writestr(info, content)
            return whole.getvalue()

        return write

    kinds = {
        "links": stat.S_IFLNK,
        "FIFOs": stat.S_IFIFO,
        "devices": stat.S_IFCHR,
        "sockets": stat.S_IFSOCK,
        "folders": stat.S_IFDIR,
        "block devices": stat.S_IFBLK,
    }
    for name, kind in kinds.items():
        yield _case(f"members that are {name}", of_kind(kind), (1,), quick=name == "FIFOs")
    for name, content in {
        "nothing": b"",
        "text": b"hello",
        "a page": b"<html></html>",
        "60 MB of zeros": bytes(60 * 2**20),
    }.items():
        yield _case(
            f"a picture that is {name}",
            _adding(("x.jpg", content), method=zipfile.ZIP_DEFLATED),
            (1,),
        )
    yield _case("no member", lambda files: damage.zipped([]), (1,))
    yield _case("a deflated member cut", lambda files: _cut_deflated(files), (1, 2))
    yield _case("20,000 members", lambda files: damage.zipped([(f"{n}.jpg", b"") for n in range(20_000)]), (1,))
    for share in (0.1, 0.5, 0.9):

        def zeroed(files: list[tuple[str, bytes]], share: float = share) -> bytes:
            return _zeroed(damage.zipped(files), share)

        yield _case(f"zeros from {share} on within a member", zeroed, (1, 2))


def _cut_deflated(files: list[tuple[str, bytes]]) -> bytes:
    data = bytearray(damage.zipped(files, zipfile.ZIP_DEFLATED))
    first = damage.starts(bytes(data), b"PK\x03\x04")[1]
    data[first + 60 : first + 90] = b"\xff" * 30
    return bytes(data)


def _zeroed(data: bytes, share: float) -> bytes:
    at = int(share * (len(data) - 1000))
    return data[:at] + bytes(200) + data[at + 200 :]


def _kinds() -> Iterator[Case]:
    def locked(path: Path) -> None:
        path.write_bytes(b"PK")
        path.chmod(0)

    makers: dict[str, Callable[[Path], object]] = {
        "a folder": os.mkdir,
        "a FIFO": os.mkfifo,
        "a link to itself": lambda path: path.symlink_to("a.zip"),
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to /dev/null": lambda path: path.symlink_to("/dev/null"),
        "a file without permission": locked,
        "nothing at all": lambda path: None,
    }
    for name, make in makers.items():
        for command in ("validate", "evaluate"):

            def play(stage: Stage, make: Callable[[Path], object] = make, command: str = command) -> None:
                make(stage.path("a.zip"))
                words: tuple[str, ...] = ("a.zip", "--rules", "any")
                if command == "evaluate":
                    stage.needs("paintings", "weights.pth")
                    words = ("--generated", "a.zip", "--reference", "paintings", *SCORED)
                stage.run(command, *words, codes=(2,), unprivileged=True, limit=40)

            yield Case(f"archives/{command} of {name}", play, quick=(name, command) == ("a FIFO", "validate"))


def _pictures() -> Iterator[Case]:
    """JPEGs that are not whole. Pillow decodes some of them without a word; other readers do not."""
    file = io.BytesIO()
    picture(1, (256, 256)).save(file, "JPEG", quality=95)
    jpeg = file.getvalue()
    begin = damage.scan(jpeg)
    pixels = len(jpeg) - 2 - begin

    def part(share: float) -> bytes:
        return jpeg[: begin + int(share * pixels)]

    wrong = {
        "cut in the middle": part(0.5),
        "cut in the middle, with an end mark": part(0.5) + b"\xff\xd9",
        "cut near its end, with an end mark": part(0.97) + b"\xff\xd9",
        "cut at its first pixel, with an end mark": part(0.0) + b"\xff\xd9",
        "without an end mark": jpeg[:-2],
        "with its last 40 % zeroed": part(0.6) + bytes(int(0.4 * pixels)) + b"\xff\xd9",
        "with its middle zeroed": part(0.4)
        + bytes(int(0.2 * pixels))
        + jpeg[begin + int(0.4 * pixels) + int(0.2 * pixels) :],
        "without its first Huffman table": damage.without(jpeg, 0xC4),
        "without its last Huffman table": damage.without(jpeg, 0xC4, -1),
        "without its first quantization table": damage.without(jpeg, 0xDB),
        "without its frame": damage.without(jpeg, 0xC0),
        "without its scan": jpeg[:begin][: damage.segments(jpeg)[-1][1]] + b"\xff\xd9",
        "with the pixels of its first half twice": part(0.5) + jpeg[begin : begin + pixels // 2] + b"\xff\xd9",
        "with a mark among its pixels": part(0.5) + b"\xff\xc0\x00\x02" + jpeg[begin + pixels // 2 :],
        "with a height of 0": _dimension(jpeg, 3, 0),
        "with a height of 65,535": _dimension(jpeg, 3, 65_535),
        "with a height that is twice its pixels'": _dimension(jpeg, 3, 512),
        "with a width that is half its pixels'": _dimension(jpeg, 5, 128),
        "with four components": _byte(jpeg, 7, 4),
        "with 12 bits": _byte(jpeg, 2, 12),
    }
    for name, data in wrong.items():
        yield _case(
            f"a JPEG {name}",
            _adding(("x.jpg", data)),
            (1,),
            quick="40 %" in name or "first Huffman" in name,
        )
    right = {
        "with a tail": jpeg + b"x" * 100,
        "with a comment": jpeg[:2] + b"\xff\xfe\x00\x06abcd" + jpeg[2:],
        "without its JFIF header": damage.without(jpeg, 0xE0),
        "progressive": _saved(progressive=True),
        "with restart marks": _saved(restart_marker_rows=1),
        "optimized": _saved(optimize=True),
        "of quality 1": _saved(quality=1),
        "in grey": _saved(mode="L"),
        "in four colours": _saved(mode="CMYK"),
    }
    for name, data in right.items():
        codes = (0, 1) if name == "with a tail" else (0,)
        yield _case(f"a whole JPEG {name}", _adding(("x.jpg", data)), codes)


def _saved(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    image: Image.Image = picture(1, (256, 256)).convert(mode)
    image.save(file, "JPEG", **options)
    return file.getvalue()


def _dimension(jpeg: bytes, offset: int, value: int) -> bytes:
    frame = next(first for marker, first, _ in damage.segments(jpeg) if marker == 0xC0) + 2
    return jpeg[: frame + offset] + value.to_bytes(2, "big") + jpeg[frame + offset + 2 :]


def _byte(jpeg: bytes, offset: int, value: int) -> bytes:
    frame = next(first for marker, first, _ in damage.segments(jpeg) if marker == 0xC0) + 2
    return jpeg[: frame + offset] + bytes([value]) + jpeg[frame + offset + 1 :]


def _flips(chance: random.Random) -> Iterator[Case]:
    """A flipped bit: a checksum, or a reader, must notice, unless nothing that anybody reads is different."""
    for number in range(_FLIPS):
        where = ("anywhere", "the directory", "a local header")[number % 3]
        share = chance.random()

        def play(stage: Stage, where: str = where, share: float = share) -> None:
            whole = stage.needs("pictures.zip").read_bytes()
            data = bytearray(whole)
            at = damage.place(data, where, share)
            data[at // 8] ^= 1 << at % 8
            stage.path("a.zip").write_bytes(data)
            _validated(stage, (0, 1, 2))
            stage.expect(
                stage.outcomes[0].code != 0 or _same(bytes(data), whole), f"bit {at} is another one, and all is valid"
            )

        yield Case(f"archives/a bit flipped in {where}, {number}", play)


def _same(data: bytes, whole: bytes) -> bool:
    """Whether what counts is the same: the members' number, suffixes and content."""
    try:
        return [content for _, content in damage.members(data)] == [content for _, content in damage.members(whole)]
    except Exception:
        return False
