"""Recipes: YAML in all the shapes that it may take, and files that hold none."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.campaign.material import TINY
from tests.campaign.stage import Case, Stage

_BOMB = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)),
    ]
)
_BILLION = "\n".join(
    ["x0: &x0 {a: 1}", *(f"x{n}: &x{n} {{a: *x{n - 1}, b: *x{n - 1}}}" for n in range(1, 30)), "training: *x29"]
)
_WRONG: dict[str, str | bytes] = {
    "a list": "- training\n- model\n",
    "a word": "training",
    "a number": "3",
    "true": "true",
    "no": "no",
    "a date": "2020-01-01",
    "a bad date": "2020-13-45",
    "a bad date in a setting": "training:\n  epochs: 2020-13-45\n",
    "a time in a setting": "training:\n  epochs: 2020-01-01 10:00:00\n",
    "an alias bomb": _BOMB,
    "an alias bomb of maps": _BILLION,
    "a small alias bomb": "\n".join(_BOMB.splitlines()[:5]) + "\ntraining: {epochs: *a4}",
    "a small alias bomb as a group": "\n".join(_BOMB.splitlines()[:5]) + "\ntraining: *a4",
    "a list that holds itself": "&a [*a]",
    "a map that holds itself": "&a {training: *a}",
    "a group that holds itself": "training: &t {epochs: *t}",
    "a key that holds itself": "&a ? *a : 1",
    "an alias of nothing": "training: *nothing",
    "deep lists": "[" * 20_000 + "]" * 20_000,
    "deep lists in a setting": "training:\n  betas: " + "[" * 3_000 + "]" * 3_000,
    "deep maps": "{a: " * 5_000 + "1" + "}" * 5_000,
    "deep blocks": "\n".join(" " * depth + "a:" for depth in range(1500)),
    "deep sequences in a line": "- " * 5_000 + "x",
    "a huge number": "training:\n  epochs: " + "9" * 100_000,
    "a huge hexadecimal number": "training:\n  epochs: 0x" + "f" * 100_000,
    "a huge base 60 number": "training:\n  epochs: " + ":".join(["1"] + ["59"] * 5_000),
    "an infinite number": "training:\n  learning_rate: .inf\n",
    "no number": "training:\n  learning_rate: .nan\n",
    "a number of 400 digits": "training:\n  learning_rate: " + "9" * 400 + "\n",
    "duplicate keys": "training: {epochs: 1, epochs: 2}",
    "duplicate groups": "training: {epochs: 1}\nmodel: {width: 4}\ntraining: {batch_size: 2}\n",
    "duplicate keys by a merge": "base: &b {epochs: 1}\ntraining: {<<: *b, <<: *b}\n",
    "a merge of a list": "training: {<<: [1, 2]}",
    "a merge of a word": "training: {<<: x}",
    "an object of Python": "training: !!python/object/apply:os.system ['touch harmed']",
    "a module of Python": "training: !!python/module:os",
    "a tuple of Python": "training: {betas: !!python/tuple [0.5, 0.9]}",
    "an unknown tag": "training: !unknown {epochs: 1}",
    "a set": "training: !!set {epochs, batch_size}",
    "pairs": "training: !!pairs [epochs: 1]",
    "an ordered map": "training: !!omap [epochs: 1]",
    "binary": "training: {epochs: !!binary aGVsbG8=}",
    "bad binary": "training: {epochs: !!binary '***'}",
    "a bad tagged integer": "training: {epochs: !!int abc}",
    "a bad tagged float": "training: {ema: !!float abc}",
    "a bad tagged bool": "data: {flip: !!bool maybe}",
    "a bad tagged timestamp": "training: {epochs: !!timestamp abc}",
    "tabs": "training:\n\tepochs: 1\n",
    "two documents": "training: {epochs: 1}\n---\nmodel: {width: 4}\n",
    "an unfinished string": "training: {epochs: '1",
    "an unfinished list": "training: {betas: [0.5",
    "a colon too many": "training: epochs: 1",
    "keys that are numbers": "1: 2\n3.5: x\n",
    "a key that is null": "null: {epochs: 1}\n",
    "a key that is true": "true: {epochs: 1}\n",
    "a key that is a list": "? [a, b]\n: 1\n",
    "a key that is a map": "? {a: b}\n: 1\n",
    "a number as a field": "training: {1: 2}\n",
    "null as a field": "training: {null: 2}\n",
    "a list as a field": "training: {[a]: 2}\n",
    "an empty field": "training: {'': 2}\n",
    "a group that is null": "training:\n",
    "a group that is a list": "training: [epochs, 1]\n",
    "a group that is a number": "model: 4\n",
    "a group that is text": "training: epochs\n",
    "a dotted key": "training.epochs: 1\n",
    "an unknown group": "trainig: {epochs: 1}\n",
    "an unknown field": "training: {epoch: 1}\n",
    "a field of a field": "training: {epochs: {x: 1}}\n",
    "a field of the class": "training: {group: x}\n",
    "a method": "training: {__post_init__: x}\n",
    "a float for a count": "training: {epochs: 1.5}\n",
    "true for a count": "training: {epochs: true}\n",
    "null for a count": "training: {batch_size: null}\n",
    "a count for a switch": "data: {flip: 1}\n",
    "text for a switch": "data: {flip: 'true'}\n",
    "a base 60 number for a duration": "budget: 1:30\n",
    "a number for a duration": "budget: 300\n",
    "a list for a duration": "budget: [5m]\n",
    "a unicode digit for a duration": "budget: ٣m\n",
    "true for a choice": "data: {sampling: true}\n",
    "null for a choice": "model: {norm: null}\n",
    "a list for a choice": "model: {norm: [batch]}\n",
    "trackers that are numbers": "tracking: [1, 2]\n",
    "trackers that are a map": "tracking: {wandb: true}\n",
    "trackers in lists": "tracking: [[wandb]]\n",
    "trackers unknown": "tracking: [wandb, mlflow]\n",
    "one beta": "training: {betas: [0.5]}\n",
    "betas of text": "training: {betas: [a, b]}\n",
    "betas as a map": "training: {betas: {a: 0.5, b: 0.9}}\n",
    "an octal count": "training: {epochs: 0o17, batch_size: -0b11}\n",
    "a value of a megabyte": "training: {device: " + "x" * 1_000_000 + "}\n",
    "a key of a megabyte": "x" * 1_000_000 + ": 1\n",
    "an unfinished key of a megabyte": "x" * 1_000_000 + "\n: : :\n",
    "many keys": "\n".join(f"key{n}: {n}" for n in range(50_000)),
    "control characters": "training: {device: \"\\x1b[2J\\n\\r\"}\n",
    "raw control characters": b"training: {device: \x1b[2J}\n",
    "a null byte": b"training: {epochs: 1}\x00",
    "null bytes": b"\x00" * 4096,
    "bytes": bytes(range(128, 256)) * 16,
    "latin 1": "training: {device: é}\n".encode("latin-1"),
    "UTF-16 without a mark": "training: {epochs: 1}\n".encode("utf-16-le"),
    "UTF-32": "training: {epochs: 1}\n".encode("utf-32"),
    "a lone surrogate": b"training: {device: \xed\xa0\x80}\n",
    "an escaped surrogate": 'training: {device: "\\ud800"}\n',
    "a percent sign": "%YAML 9.9\n---\ntraining: {epochs: 1}\n",
    "a JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "a zip": b"PK\x03\x04" + b"\x00" * 100,
}  # fmt: skip
_WHOLE = """\
data:
  flip: true
  rotate: 3.5
model:
  norm: instance  # as in the paper
training:
  batch_size: 1
  learning_rate: 2.0e-4
  betas: [0.5, 0.9]
  lambda_cycle: 10
tracking: []
"""
_MUTATED = 15
"""So many times it is changed at random."""
_RIGHT: dict[str, str | bytes] = {
    "empty": "",
    "a comment": "# nothing\n",
    "null": "null\n",
    "an empty map": "{}\n",
    "JSON": '{"training": {"batch_size": 1}}\n',
    "a mark of byte order": b"\xef\xbb\xbftraining: {batch_size: 1}\n",
    "Windows line ends": b"training:\r\n  batch_size: 1\r\n",
    "a document mark": "---\ntraining: {batch_size: 1}\n...\n",
    "an anchor": "training: {lambda_cycle: &x 3.0, lambda_identity: *x}\n",
    "a merge": "training: {<<: {batch_size: 1}, pool_size: 2}\n",
    "a whole number for a float": "training: {lambda_cycle: 10}\n",
    "off for a choice": "training: {compile: off}\n",
    "yes for a switch": "data: {flip: yes}\n",
    "no trackers": "tracking: []\n",
    "a number with an exponent": "training: {learning_rate: 2e-4}\n",
    "a megabyte of comments": "# " + "x" * 100 + "\n" + "# y\n" * 250_000,
}


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses what becomes of a recipe that was right.
    """
    chance = random.Random(seed)
    for number in range(_MUTATED):
        yield _recipe(f"a recipe with some bytes changed, {number}", _mutated(chance), (0, 2))
    for name, text in _WRONG.items():
        codes = (0, 2) if name == "a dotted key" else (2,)
        quick = name in ("duplicate keys", "a small alias bomb", "a bad date", "deep lists")
        yield _recipe(name, text, codes, quick=quick)
    for name, text in _RIGHT.items():
        yield _recipe(name, text, (0, 2) if name in ("a merge", "an anchor", "a megabyte of comments") else (0,))
    yield from _files()


def _mutated(chance: random.Random) -> bytes:
    """A short recipe of which a few parts were replaced, doubled, or cut out."""
    data = bytearray(_WHOLE.encode())
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(data)), chance.randint(0, 6)
        odd = chance.choice(
            [
                b"&a ",
                b"*a",
                b"!!",
                b"[",
                b"{",
                b"\t",
                b"- ",
                b": ",
                b"\n",
                b"'",
                b"\xff",
                b"9" * 30,
                b"null",
                b"|",
                b"? ",
            ]
        )
        data[at : at + length] = chance.choice([odd, b"", bytes(data[at : at + length]) * 2])
    return bytes(data)


def _recipe(name: str, text: str | bytes, codes: Sequence[int], *, quick: bool = False) -> Case:
    def play(stage: Stage) -> None:
        stage.needs("data")
        stage.path("r.yaml").write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
        # The command line makes the run short, and must not hide what the recipe says.
        words = [*TINY[:12], *(("--training.epochs", "1") if 0 in codes else ())]
        stage.run("train", "--data", "data", "--run", "run", "--recipe", "r.yaml", *words, codes=codes, limit=30)
        stage.expect(not stage.path("harmed").exists(), "the recipe ran a command")

    return Case(f"recipes/{name}", play, quick=quick)


def _files() -> Iterator[Case]:
    """Recipes that are not files with YAML in them, or not where they are said to be."""

    def link(path: Path, target: str) -> None:
        path.symlink_to(target)

    def unreadable(path: Path) -> None:
        path.write_text("training: {epochs: 1}\n")
        path.chmod(0)

    makers = {
        "a folder": lambda path: path.mkdir(),
        "a FIFO": os.mkfifo,
        "a link to /dev/zero": lambda path: link(path, "/dev/zero"),
        "a link to /dev/null": lambda path: link(path, "/dev/null"),
        "a link to itself": lambda path: link(path, "r.yaml"),
        "a link to nothing": lambda path: link(path, "nothing"),
        "without permission": unreadable,
    }
    for name, make in makers.items():

        def play(stage: Stage, make: object = make) -> None:
            stage.needs("data")
            assert callable(make)
            make(stage.path("r.yaml"))
            words = ("--data", "data", "--run", "run", "--recipe", "r.yaml", *TINY, "--training.epochs", "1")
            codes = (0, 2) if stage.path("r.yaml").is_symlink() and stage.path("r.yaml").exists() else (2,)
            stage.run("train", *words, codes=codes, unprivileged=True, limit=30)

        yield Case(f"recipes/file: {name}", play, quick=name == "a FIFO")
    named = (
        "",
        ".",
        "..",
        "/",
        "nothing.yaml",
        "x" * 300,
        "x/" * 2500,
        "a\nb",
        "\udcff.yaml",
        "kaggle.yaml",
        "../recipes/demo",
        "Demo",
        "demo ",
        "~",
        "-",
    )
    for recipe in named:
        shown = repr(recipe)[:30]

        def missing(stage: Stage, recipe: str = recipe) -> None:
            stage.needs("data")
            stage.run(
                "train",
                "--data",
                "data",
                "--run",
                "run",
                f"--recipe={recipe}",
                *TINY,
                "--training.epochs",
                "1",
                codes={2},
            )

        yield Case(f"recipes/named {shown}", missing)
