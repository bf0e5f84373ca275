"""The options that `submit` and `train` share, and the request that they make."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pipelines
from pipelines._command import command_parser, place
from pipelines._credentials import credentials
from pipelines._signals import SIGNALS

if TYPE_CHECKING:
    from monet.context import Context


def run_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Returns the options of a command that trains; settings (`--training.epochs 3`) are left to `read_request`."""
    from monet import recipes
    from monet.settings import describe_settings

    parser = command_parser(name, description)
    parser.epilog = (
        "settings (defaults are those of no recipe; a recipe changes them, the command line overrides both):\n"
    )
    parser.epilog += describe_settings()
    parser.add_argument(
        "--data",
        type=place,
        default="auto",
        metavar="DIR|auto|demo",
        help="a folder with photo_jpg/ and monet_jpg/, or trainA/ and trainB/ (and testA/ testB/); auto: where Kaggle, "
        "or a download, puts the competition's data; demo: pictures drawn on the spot (default: auto)",
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="the run's folder (default: runs/<UTC time>)")
    parser.add_argument(
        "--recipe",
        metavar="R",
        help=f"named settings or a YAML file: {', '.join(recipes.names())} (default: demo for the demo data; "
        "else kaggle with an accelerator, quick-cpu without)",
    )
    parser.add_argument(
        "--budget",
        metavar="D",
        help="wall-clock time of the whole command: 5h, 45m, 90s, 1h30m (default: the recipe's; with --resume that of "
        "the process before)",
    )
    parser.add_argument(
        "--horizon", metavar="D", help="training time, over all its processes, at which the run's learning rate is 0"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in --run; where there is none yet, start it"
    )
    return parser


def read_request(
    parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> tuple[argparse.Namespace, dict[str, Any], Context]:
    """Reads the command line of a command that trains.

    Returns:
        The options; the arguments that `monet.train` and `monet.submit` share; the surroundings of the run.

    Raises:
        InputError: something on the command line cannot be used.
    """
    from monet.run.prepare import check_settings
    from monet.run.request import run_request

    options, words = parser.parse_known_args(arguments)
    asked = {name: getattr(options, name) for name in ("data", "run", "recipe", "budget", "horizon", "resume")}
    asked["settings"] = words
    check_settings(run_request(**asked))  # before processes wait for each other
    return options, asked, _context(parser, arguments)


def _context(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> Context:
    """Joins the processes that torchrun started, and shows progress on the first of them."""
    from monet import api
    from monet.display import Display
    from pipelines._display import Bars
    from pipelines._processes import join

    group = join()
    return dataclasses.replace(
        api.default_context(),
        started=pipelines.STARTED,
        group=group,
        display=Display() if group.rank else Bars(),
        interrupts=SIGNALS,
        credentials=credentials,
        command=(parser.prog, *arguments),
    )
