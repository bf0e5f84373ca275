"""All there is to learn from a GPU in 25 minutes: python -m tests.gpu

Each part runs in a process of its own, says one line, and is killed at its limit. What is done is kept in --out: the
program, started again, continues with the rest.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from monet.errors import InputError
from pipelines._command import command_parser, run_command
from tests.gpu.part import Part, Place
from tests.gpu.parts import PARTS
from tests.gpu.results import Result, Results
from tests.gpu.runner import answer, run_all
from tests.gpu.speed import identify


def main(arguments: Sequence[str], parts: Sequence[Part] = PARTS) -> int:
    """Runs the program; returns its exit code: 0 where all parts that ran passed, 1 otherwise."""
    started = time.monotonic()
    options = _parser().parse_args(arguments)
    if options.list:
        for part in parts:
            needs = ", ".join([*(["CUDA"] if part.cuda else []), *part.needs])
            limit = f"{part.limit:.0f} s" if part.limit < float("inf") else "what is left"
            print(f"{part.name:<35} {limit:<13} {part.about}{f' (needs {needs})' if needs else ''}")
        return 0
    chosen = _chosen(options, parts)
    place = _place(options)
    results = Results(options.out)
    results.belong_to(_machine(place))
    try:
        run_all(chosen, place, results, started + 60 * options.minutes, bool(options.only), _tell)
    finally:
        print("\n" + results.table([part.name for part in parts]), end="", flush=True)
    known = [results.known[part.name] for part in chosen]
    return int(any(result.wrong for result in known))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("", __doc__ or "")
    parser.prog = "python -m tests.gpu"
    parser.add_argument("--out", type=Path, default=Path("gpu"), metavar="DIR", help="results (default: gpu)")
    parser.add_argument("--data", default="demo", metavar="DIR|demo", help="a data set (default: demo)")
    parser.add_argument("--inception-weights", type=Path, metavar="F", help="weights of Inception v3 (default: random)")
    parser.add_argument("--minutes", type=float, default=25.0, help="for everything (default: 25)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PART", help="these alone, and again where they are done"
    )
    parser.add_argument("--list", action="store_true", help="show the parts, and what each needs")
    parser.add_argument("--device", choices=["auto", "cuda", "cpu"], default="auto", help="(default: auto, a GPU)")
    parser.add_argument("--tiny", action="store_true", help="tiny networks and images: a rehearsal")
    return parser


def _chosen(options: argparse.Namespace, parts: Sequence[Part]) -> list[Part]:
    known = {part.name: part for part in parts}
    for name in options.only:
        if name not in known:
            raise InputError(f"no part {name!r}: --list shows them all")
    if not options.minutes > 0:
        raise InputError(f"--minutes is {options.minutes}: give a number above 0")
    return [part for part in parts if not options.only or part.name in options.only]


def _place(options: argparse.Namespace) -> Place:
    import torch

    from monet.data.layout import find_layout

    if options.data != "demo":
        find_layout(Path(options.data))
    if options.inception_weights and not options.inception_weights.is_file():
        raise InputError(f"no file {options.inception_weights}: give one of Inception's weights, or none")
    device = options.device if options.device != "auto" else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA here: start it on a machine with a GPU, or rehearse with --device cpu --tiny")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{options.out} cannot be a folder for results ({error.strerror}): another --out") from error
    return Place(
        device=device,
        tiny=options.tiny,
        out=options.out.resolve(),
        data=options.data if options.data == "demo" else str(Path(options.data).resolve()),
        weights=options.inception_weights.resolve() if options.inception_weights else None,
        seconds=120.0,
    )


def _machine(place: Place) -> dict[str, object]:
    """What the results belong to, found out in a process of its own: this one leaves the GPU alone.

    Raises:
        InputError: the device does not work.
    """
    status, line, figures = answer(identify, place, "identify")
    if status != "passed":
        raise InputError(f"the device does not work here: {line or 'it hangs'}")
    return figures


def _tell(result: Result) -> None:
    print(f"{result.part:<35} {result.status:<8} {result.seconds:4.0f} s  {result.line}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asking for a GPU must not keep copies from using it
    sys.exit(run_command(main))
