"""The options that the studio and the bot share: which models they offer, and what may be sent."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from monet.errors import InputError
from pipelines._numbers import number

if TYPE_CHECKING:
    from monet.serving.limits import Limits
    from monet.serving.models import Models


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint` and `--run`, each as often as wanted."""
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        metavar="F",
        help="a checkpoint, a model file or an ONNX file that export wrote, or a folder of them; as often as wanted",
    )
    parser.add_argument(
        "--run", type=Path, action="append", default=[], metavar="DIR", help="a run, whose checkpoints are offered"
    )


def add_limit_options(parser: argparse.ArgumentParser) -> None:
    """Adds what may be sent at most."""
    from monet.serving.limits import Limits

    limits = Limits()
    for name, default, unit, what in (
        ("--max-mb", limits.megabytes, "MB", "of a file, in units of 1,048,576 bytes"),
        ("--max-megapixels", limits.megapixels, "N", "millions of pixels of a picture"),
        ("--max-seconds", limits.clip, "S", "of a video"),
    ):
        parser.add_argument(
            name, type=number, default=default, metavar=unit, help=f"{what}, at most (default: {default:g})"
        )


def models_of(options: argparse.Namespace) -> Models:
    """Returns the models that are offered.

    Raises:
        InputError: one cannot be read, or there is none.
    """
    from monet.serving.models import Models

    return Models(
        options.checkpoint,
        options.run,
        weights=options.weights,
        device=options.device,
        precision=options.precision,
    )


def limits_of(options: argparse.Namespace) -> Limits:
    """Returns what may be sent.

    Raises:
        InputError: a limit leaves nothing.
    """
    from monet.serving.limits import Limits

    for name in ("max_mb", "max_megapixels", "max_seconds"):
        if getattr(options, name) <= 0:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(options, name):g}: give more than 0")
    return Limits(megabytes=options.max_mb, megapixels=options.max_megapixels, clip=options.max_seconds)
