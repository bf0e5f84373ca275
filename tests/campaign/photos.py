"""Photos with odd names, of odd kinds, and with odd content."""

from __future__ import annotations

import io
import os
import socket
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from tests.campaign.folders import PAINT, SUBMIT, TRAIN, case
from tests.campaign.material import PAINTED, PHOTOS
from tests.campaign.stage import Case, Stage
from tests.conftest import picture


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class; nothing in them is chosen at random."""
    yield from _names()
    yield from _kinds()
    yield from _files()


def _names() -> Iterator[Case]:
    """Photos with odd names are painted all the same, each to a member with a name of its own."""
    names: dict[str, Sequence[str]] = {
        "a line break": ("a\nb.jpg",),
        "an escape sequence": ("\x1b[2Jx.jpg",),
        "bytes that are no text": (os.fsdecode(b"\xff\xfe.jpg"),),
        "one name in two Unicode forms": ("\u00e9.jpg", "e\u0301.jpg"),
        "names that differ in case": ("a.jpg", "A.jpg", "a.JPG"),
        "one stem twice": ("a.jpg", "a.jpeg", "a.jpg.jpg"),
        "a number where one will be added": ("a.jpg", "a.jpeg", "a-1.jpg"),
        "255 bytes": ("x" * 251 + ".jpg",),
        "255 bytes twice": ("x" * 250 + "y.jpg", "x" * 250 + "y.JPG"),
        "85 characters of three bytes": ("字" * 83 + ".jpg",),
        "a dash": ("-rf.jpg", "--zip.jpg"),
        "spaces": ("   .jpg", " a .jpg"),
        "no suffix": ("photo",),
        "a suffix alone": ("x.jpg", "jpg"),
        "dots": ("...jpg"[1:] + "x", "a..jpg"),
        "a backslash": ("a\\b.jpg",),
        "a colon": ("C:x.jpg",),
        "a reserved name": ("CON.jpg", "nul.jpg"),
        "from right to left": ("\u202egpj.exe.jpg",),
        "an emoji": ("🎨.jpg",),
        "percent signs": ("%s%d%n.jpg", "{0}.jpg"),
    }  # fmt: skip
    for name, files in names.items():

        def play(stage: Stage, files: Sequence[str] = files) -> None:
            stage.needs("run", "photos")
            source = stage.path("photos/0.jpg").read_bytes()
            for file in files:
                (stage.path("photos") / file).write_bytes(source)
            count = sum(not path.name.startswith(".") for path in stage.path("photos").iterdir())
            stage.run(*PAINT, codes={0})
            stage.archive("x.zip", count)
            stage.run("validate", "x.zip", "--rules", "any", codes={0})

        yield Case(f"photos/names: {name}", play, quick=name == "one name in two Unicode forms")


def _kinds() -> Iterator[Case]:
    """Things among the photos that are no files. They are passed over or refused; nothing waits for them."""

    def unix_socket(path: Path) -> None:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket is short
        try:
            socket.socket(socket.AF_UNIX).bind(path.name)
        finally:
            os.chdir(here)

    def locked(path: Path) -> None:
        path.write_bytes(b"x")
        path.chmod(0)

    kinds: dict[str, Callable[[Path], object]] = {
        "a FIFO": os.mkfifo,
        "a socket": unix_socket,
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to a folder": lambda path: path.symlink_to("."),
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to /dev/tty": lambda path: path.symlink_to("/dev/tty"),
        "a folder": lambda path: path.mkdir(),
        "a file without permission": locked,
    }
    for name, make in kinds.items():
        for where, words in (("photos", PAINT), ("data/trainA", TRAIN)):

            def prepare(stage: Stage, make: Callable[[Path], object] = make, where: str = where) -> None:
                make(stage.path(where) / "odd.jpg")

            codes = (0, 2) if words is PAINT else (0,)
            yield case(f"{name} in {where}", prepare, words, codes, unprivileged=True, limit=40, quick=name == "a FIFO")


def _pictures() -> dict[str, tuple[bytes, bool]]:
    """Picture files, and whether they can be painted."""

    def saved(image: Image.Image, form: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, form, **options)
        return file.getvalue()

    photo = picture(1)
    jpeg = saved(photo, "JPEG")
    turned = Image.Exif()
    turned[0x0112] = 6
    header = b"\x89PNG\r\n\x1a\n"
    ihdr = b"IHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    huge = header + (13).to_bytes(4, "big") + ihdr + zlib.crc32(ihdr).to_bytes(4, "big")
    return {
        "empty": (b"", False),
        "text": (b"hello", False),
        "a truncated JPEG": (jpeg[: len(jpeg) // 2], False),
        "a JPEG's first bytes": (jpeg[:20], False),
        "a PNG of 100,000 by 100,000": (huge, False),
        "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", False),
        "a PDF": (b"%PDF-1.4\n", False),
        "a truncated PNG": (saved(photo, "PNG")[:-600], False),
        "a PostScript program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", False),
        "one pixel": (saved(Image.new("RGB", (1, 1)), "PNG"), True),
        "one row": (saved(Image.new("RGB", (5000, 1)), "PNG"), True),
        "grey": (saved(photo.convert("L"), "JPEG"), True),
        "one bit": (saved(photo.convert("1"), "PNG"), True),
        "a palette": (saved(photo.convert("P"), "GIF"), True),
        "transparent": (saved(photo.convert("RGBA"), "PNG"), True),
        "16 bits": (saved(Image.new("I;16", (40, 40), 30_000), "PNG"), True),
        "CMYK": (saved(photo.convert("CMYK"), "JPEG"), True),
        "floats": (saved(Image.new("F", (40, 40), 0.5), "TIFF"), True),
        "progressive": (saved(photo, "JPEG", progressive=True), True),
        "WebP": (saved(photo, "WEBP"), True),
        "BMP": (saved(photo, "BMP"), True),
        "turned": (saved(photo, "JPEG", exif=turned), True),
        "moving": (saved(photo.convert("P"), "GIF", save_all=True, append_images=[picture(2).convert("P")]), True),
        "a JPEG with a tail": (jpeg + b"x" * 100_000, True),
    }


def _files() -> Iterator[Case]:
    for name, (data, right) in _pictures().items():
        for where, words, count in (("photos", PAINT, PHOTOS), ("data/testA", SUBMIT, PAINTED)):

            def play(
                stage: Stage,
                data: bytes = data,
                right: bool = right,
                where: str = where,
                words: Sequence[str] = words,
                count: int = count,
            ) -> None:
                stage.needs("data", "photos", *(["run"] if words is PAINT else []))
                (stage.path(where) / "odd.png").write_bytes(data)
                stage.run(*words, codes={0} if right else {2}, says=() if right else ("odd.png",))
                if right:
                    stage.archive("x.zip" if words is PAINT else "run/images.zip", count + 1)
                    return
                if words is SUBMIT:
                    stage.expect(not stage.path("run/images.zip").exists(), "there is an archive")
                    return
                stage.run(*words, "--skip-bad", codes={0})
                stage.archive("x.zip", count)

            if words is PAINT or not right:
                yield Case(f"photos/a picture, {name}, in {where}", play)
