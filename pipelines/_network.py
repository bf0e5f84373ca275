"""The options that the commands share which pass images through a checkpoint's network."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint`."""
    parser.add_argument(
        "--checkpoint", type=Path, required=True, metavar="F", help="such as runs/NAME/checkpoints/last.pt"
    )


def add_weights_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--weights`."""
    parser.add_argument(
        "--weights", choices=["ema", "raw"], default="ema", help="averaged weights where there are some (default: ema)"
    )


def add_weights_and_device_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--weights` and `--device`."""
    add_weights_option(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")


def add_precision_option(parser: argparse.ArgumentParser, default: str = "auto") -> None:
    """Adds `--precision`.

    Args:
        parser: gets it.
        default: `auto`, or what help says in its place where the command chooses; the option then is None.
    """
    parser.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16"],
        default="auto" if default == "auto" else None,
        help=f"of the network (default: {default})",
    )
