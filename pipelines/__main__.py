"""The command `monet`, also as `python -m pipelines`: `monet submit …` is `python -m pipelines.submit …`."""

from __future__ import annotations

import difflib
import runpy
import sys
from collections.abc import Sequence
from typing import NoReturn

from monet import __version__
from monet.errors import InputError, shown
from pipelines import _program
from pipelines._command import run_command
from pipelines._processes import leave
from pipelines._start import prepare_process

COMMANDS = {
    "submit": "train, paint every photo, validate, score, report",
    "train": "the training part of submit alone",
    "generate": "paint a folder of photos into an archive",
    "translate": "pictures of any size and videos, in either direction",
    "frames": "a domain to learn from, cut from videos",
    "export": "the generator for other runtimes: ONNX, safetensors, a page for the browser",
    "studio": "a page in the browser: try models, watch runs, choose a checkpoint",
    "bot": "a Telegram bot that paints what it is sent",
    "validate": "every reason why an archive would be refused",
    "evaluate": "FID, MiFID, memorization distance and KID of one set of images",
    "compare": "score and rank the checkpoints of runs",
    "kernel": "build, check and push the Kaggle kernel",
    "doctor": "what this machine can do",
}
"""Commands in the order in which they are listed, with what they do."""


def main() -> NoReturn:
    """Runs the command that the command line names; ends the process with its exit code."""
    prepare_process()
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in COMMANDS:
        _program.NAME = "monet "
        sys.argv = [sys.argv[0], *arguments]
        runpy.run_module(f"pipelines.{name}", run_name="__main__", alter_sys=True)
    leave(run_command(_without_command, [name], torch=False))


def _without_command(arguments: Sequence[str]) -> int:
    """Shows the commands, or the version; returns the exit code."""
    (name,) = arguments
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if name == "--version":
        print(f"monet {__version__}")
        return 0
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"no command {shown(name)}: give one of {', '.join(COMMANDS)}{hint}")


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {about}" for name, about in COMMANDS.items()]
    last = "monet COMMAND --help shows the options of one; monet --version the version"
    return "\n".join(["usage: monet COMMAND …", "", *lines, "", last])


if __name__ == "__main__":
    main()
