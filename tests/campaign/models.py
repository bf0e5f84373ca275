"""Model files and checkpoints that are damaged or something else, given to each command that reads one."""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.campaign.checkpoints import whole
from tests.campaign.harms import HARMS
from tests.campaign.material import PAINT, SCORED, TRANSLATED
from tests.campaign.stage import Case, Stage

_SAFETENSORS = ("safetensors",)
_ONNX = ("onnx", "onnxruntime", "onnxscript", "safetensors")
_HARMED = 3
_COMMANDS: dict[str, Sequence[str]] = {
    "generate": ("generate", *PAINT, "--zip", "x.zip", "--checkpoint"),
    "translate": ("translate", *TRANSLATED, "--input", "photos", "--output", "out", "--checkpoint"),
    "export": ("export", "--safetensors", "again.safetensors", "--checkpoint"),
}
_WRITTEN = {"generate": "x.zip", "translate": "out/0.jpg", "export": "again.safetensors"}
_WHOLE = {"generate": "painted.zip", "translate": "translated/0.jpg", "export": "model.safetensors"}


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses the damage.
    """
    for command in _COMMANDS:
        for file in ("c.pt", "m.safetensors"):
            for name, harm in HARMS.items():
                for count in range(_HARMED):
                    draws = random.Random(f"{seed} {command} {file} {name} {count}")

                    def change(data: bytes, harm: Callable[..., bytes] = harm, draws: random.Random = draws) -> bytes:
                        return harm(data, draws)

                    quick = (command, file, name, count) == ("translate", "c.pt", "a bit flipped", 0)
                    yield _case(command, file, f"{name}, {count}, seed {seed}", change, quick=quick)
    yield from _kinds()
    yield from _compared(seed)
    yield from _outputs()


def _case(command: str, file: str, name: str, change: Callable[[bytes], bytes], *, quick: bool = False) -> Case:
    """A damaged file is refused, or gives what the whole one gives."""

    def play(stage: Stage) -> None:
        stage.needs("photos", _WHOLE[command].split("/")[0])
        data = whole(stage) if file == "c.pt" else stage.material.made("model.safetensors").read_bytes()
        stage.path(file).write_bytes(change(data))
        outcome = stage.run(*_COMMANDS[command], file, codes={0, 2}, says=[file])
        if outcome.code == 0:
            found, expected = (_content(stage.path(name)) for name in (_WRITTEN[command], _WHOLE[command]))
            stage.expect(found == expected, "a damaged model gave something else with exit 0")

    libraries = _SAFETENSORS if file == "m.safetensors" or command == "export" else ()
    return Case(f"models/{command}: {file} with {name}", play, quick=quick, libraries=libraries)


def _content(path: Path) -> object:
    """What is in a file; of a model file the header is written in any order."""
    from monet.checkpoint import model
    from monet.checkpoint.contents import digest

    return digest(model.load(path)) if model.is_model(path) else path.read_bytes()


def _model(header: object, length: int | None = None, rest: bytes = b"") -> Callable[[Path], object]:
    """Writes a model file of such a header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = struct.pack("<Q", len(text) if length is None else length) + text + rest
    return lambda path: path.write_bytes(data)


def _kinds() -> Iterator[Case]:
    """What is called a model file, and is none."""
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    makers: dict[str, Callable[[Path], object]] = {
        "nothing": lambda path: path.touch(),
        "text": lambda path: path.write_text("hello"),
        "a folder": os.mkdir,
        "a FIFO": os.mkfifo,
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a header alone": _model({}),
        "a header that is a list": _model([]),
        "a header of deep lists": _model(b"{" + b'"x":[' * 100_000),
        "a header of 8 EB": _model({}, 2**63 - 1),
        "a negative header": _model({}, 2**64 - 1),
        "a header that is longer than the file": _model({}, 1000),
        "a header that is no UTF-8": _model(b'{"\xff": 1}'),
        "a key twice": _model(b'{"__metadata__": {"monet": "{}"}, "__metadata__": {}}'),
        "another program's": _model({"x": tensor, "__metadata__": {"format": "pt"}}, rest=bytes(8)),
        "a tensor beyond the end": _model({"x": {**tensor, "data_offsets": [0, 2**40]}}),
        "a tensor of negative size": _model({"x": {**tensor, "shape": [-2]}}, rest=bytes(8)),
        "a tensor of billions": _model({"x": {**tensor, "shape": [2**31, 2**31]}}, rest=bytes(8)),
        "an unknown type": _model({"x": {**tensor, "dtype": "F3"}}, rest=bytes(8)),
        "metadata that are a number": _model({"__metadata__": 3}),
        "a mark that is a number": _model({"__metadata__": {"monet": 3}}),
        "a mark of deep lists": _model({"__metadata__": {"monet": "[" * 100_000}}),
        "a mark alone": _model({"__metadata__": {"monet": '{"version": 1}'}}),
        "a mark of another version": _model({"__metadata__": {"monet": '{"version": 99}'}}),
    }
    for command, words in _COMMANDS.items():
        for name, make in makers.items():

            def play(stage: Stage, words: Sequence[str] = words, make: Callable[[Path], object] = make) -> None:
                stage.needs("photos")
                make(stage.path("m.safetensors"))
                stage.run(*words, "m.safetensors", codes={2}, limit=40)

            yield Case(f"models/{command}: a model file that is {name}", play, libraries=_SAFETENSORS)


def _compared(seed: int) -> Iterator[Case]:
    """A run with a damaged checkpoint: the others are compared, or the damaged one is named."""
    words = ("--run", "run", "--photos", "photos", "--reference", "paintings", *SCORED, "--device", "cpu")
    for name, harm in HARMS.items():
        draws = random.Random(f"{seed} {name}")

        def play(stage: Stage, harm: Callable[..., bytes] = harm, draws: random.Random = draws) -> None:
            stage.needs("run", "photos", "paintings", "weights.pth")
            path = stage.path("run/checkpoints/epoch-0001.pt")
            path.write_bytes(harm(path.read_bytes(), draws))
            stage.run("compare", *words, codes={0, 2}, may_change=("run/report.html",))

        yield Case(f"models/compare: a checkpoint with {name}, seed {seed}", play)


def _outputs() -> Iterator[Case]:
    """What an export must not replace, each under a name that ends as it has to."""
    checkpoint = "run/checkpoints/last.pt"

    def photo(path: Path) -> None:
        path.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")

    def locked(path: Path) -> None:
        path.write_text("x")
        path.chmod(0)

    makers: dict[str, Callable[[Path], object]] = {
        "a folder": os.mkdir,
        "a FIFO": os.mkfifo,
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "a link to the checkpoint": lambda path: path.symlink_to(Path("..") / checkpoint),
        "a second name of the checkpoint": lambda path: path.hardlink_to(path.parents[1] / checkpoint),
        "a photo": photo,
        "another program's": _model({}),
        "deep lists": _model(b"{" + b'"x":[' * 100_000),
        "a file without permission": locked,
    }
    for option, file in (("--safetensors", "out/o.safetensors"), ("--onnx", "out/o.onnx"), ("--hub", "out/README.md")):
        for name, make in makers.items():

            def play(
                stage: Stage, option: str = option, file: str = file, make: Callable[[Path], object] = make
            ) -> None:
                stage.needs("run")
                stage.path("out").mkdir()
                make(stage.path(file))
                target = "out" if option == "--hub" else file
                words = ("--checkpoint", checkpoint, option, target)
                stage.run("export", *words, codes={2}, unprivileged=True, limit=40)

            yield Case(f"models/export {option} onto {name}", play, libraries=_ONNX)
