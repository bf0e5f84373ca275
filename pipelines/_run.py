"""The options that `submit` and `train` share, and the request that they make."""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

import pipelines
from pipelines._command import command_parser
from pipelines._credentials import credentials
from pipelines._signals import SIGNALS

if TYPE_CHECKING:
    from monet.workflow.request import Context


def run_parser(name: str, description: str) -> argparse.ArgumentParser:
    """The options of a command that trains; settings (`--training.epochs 3`) are left to `read_settings`."""
    from monet import recipes

    parser = command_parser(name, description)
    parser.epilog = (
        "settings (defaults are those of no recipe; a recipe changes them, the command line overrides both):\n"
    )
    parser.epilog += recipes.describe_settings()
    parser.add_argument(
        "--data",
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
    from monet.workflow.prepare import check_settings
    from monet.workflow.request import RunRequest

    options, words = parser.parse_known_args(arguments)
    for name in ("budget", "horizon"):
        if getattr(options, name) is not None:
            words += [f"--{name}", getattr(options, name)]
    asked = {"run": options.run, "recipe": options.recipe, "resume": options.resume}
    check_settings(RunRequest(**asked, overrides=words))  # before processes wait for each other
    return options, {"data": options.data, **asked, "settings": words}, _context(parser, arguments)


def _context(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> Context:
    """Joins the processes that torchrun started, and shows progress on the first of them."""
    import torch

    from monet.workflow.display import Display
    from monet.workflow.request import Context
    from pipelines._display import Bars
    from pipelines._processes import join

    group = join()
    return Context(
        clock=time.monotonic,
        started=pipelines.STARTED,
        now=datetime.datetime.now(datetime.timezone.utc),
        cache_folder=platformdirs.user_cache_path("monet"),
        weights_folder=Path(torch.hub.get_dir()),
        group=group,
        display=Display() if group.rank else Bars(),
        interrupts=SIGNALS,
        credentials=credentials,
        command=(parser.prog, *arguments),
    )
