"""What `submit` and `train` share: their options, and the job that these ask for."""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import platform
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

import pipelines
from monet.errors import InputError
from pipelines._command import AT_END, command_parser
from pipelines._credentials import credentials
from pipelines._signals import SIGNALS

if TYPE_CHECKING:
    from monet.config import Config
    from monet.data.layout import Layout
    from monet.distributed import Group
    from monet.workflow.display import Display
    from monet.workflow.job import Job

logger = logging.getLogger(f"monet.{__name__}")


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


def make_job(
    parser: argparse.ArgumentParser, arguments: Sequence[str], *, paint: bool
) -> tuple[Job, argparse.Namespace]:
    """Reads the command line and finds the data, the settings and the run's folder.

    Raises:
        InputError: something on the command line cannot be used.
    """
    from monet import recipes
    from monet.tracking.tracking import Tracking
    from monet.workflow.display import Display
    from monet.workflow.job import Job, merged_config
    from monet.workflow.run_folder import RunFolder
    from pipelines._display import Bars
    from pipelines._processes import join

    options, rest = parser.parse_known_args(arguments)
    if options.resume and options.run is None:
        raise InputError("--resume needs to know which run: name its folder with --run")
    overrides = list(rest)
    for name in ("budget", "horizon"):
        if getattr(options, name) is not None:
            overrides += [f"--{name}", getattr(options, name)]
    recipes.resolve({}, overrides)  # mistakes first: before anything is drawn or downloaded
    named = recipes.read(options.recipe) if options.recipe is not None else {}
    recipes.resolve(named, overrides, source=f"recipe {options.recipe}")

    group = join()
    now = datetime.datetime.now(datetime.timezone.utc)
    folder = RunFolder(group.broadcast_object(lambda: options.run or Path("runs") / now.strftime("%Y%m%d-%H%M%S")))
    group.broadcast_object(lambda: AT_END.append(folder.hold(_holder(now, parser.prog, arguments))))
    stored = group.broadcast_object(lambda: folder.open(options.resume))
    display, interrupts = Display() if group.rank else Bars(), SIGNALS
    SIGNALS.begin_run()

    values = (
        named
        if options.recipe or stored
        else recipes.read(group.broadcast_object(lambda: _default_recipe(options.data)))
    )
    config = recipes.resolve(values, overrides)
    explicit, in_recipe = recipes.names_in(overrides), recipes.names_of(named)
    if stored:
        config = merged_config(stored, config, explicit, in_recipe)
    group.broadcast_object(lambda: _require_possible(config, trains=getattr(options, "paint_with", None) is None))
    layout = _find(options.data, group, display)
    if options.resume and stored is None and group.rank == 0:
        logger.info("nothing to resume in %s: a new run begins", folder.path)
    job = Job(
        config=config,
        layout=layout,
        folder=folder,
        checkpoint=stored,
        explicit=explicit,
        asked=explicit | in_recipe,
        paint=paint,
        skip_bad=getattr(options, "skip_bad", False),
        clock=time.monotonic,
        started=pipelines.STARTED,
        environment={"command": [parser.prog, *arguments]},
        group=group,
        tracking=Tracking() if group.rank or not config.tracking else Tracking(config.tracking, credentials()),
        display=display,
        interrupts=interrupts,
    )
    return job, options


def _find(data: str, group: Group, display: Display) -> Layout:
    """The data set. On each machine one process draws or downloads it, while the others wait."""
    from monet.workflow.find_data import find_data

    def find() -> Layout:
        return find_data(data, cache_folder=platformdirs.user_cache_path("monet"), display=display)

    layouts: list[Layout] = []
    group.broadcast_object(lambda: layouts.append(find()))
    if group.local_rank == 0 and not layouts:
        layouts.append(find())
    group.barrier()
    return layouts[0] if layouts else find()


def _holder(now: datetime.datetime, program: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What other processes are told of this one, while it works in a run's folder."""
    since = now.strftime("%Y-%m-%d %H:%M:%S UTC")
    return {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": since,
        "command": f"{program} {shlex.join(arguments)}",
    }


def _require_possible(config: Config, *, trains: bool) -> None:
    """Checks what needs no data, before any is drawn or downloaded.

    Raises:
        InputError: the device does not work here, or the budget is nearly over.
    """
    from monet.clock import format_duration, reserve_seconds
    from monet.device import choose_device

    if config.training.device != "auto":
        choose_device(config.training.device)
    if not trains or config.budget_seconds is None:
        return
    passed, ending = time.monotonic() - pipelines.STARTED, reserve_seconds(0.0, config.budget_seconds)
    if config.budget_seconds < passed + ending:
        raise InputError(
            f"a budget of {config.budget} leaves no time to train: ending alone takes up to {format_duration(ending)}; "
            "give --budget some minutes"
        )


def _default_recipe(data: str) -> str:
    from monet.device import choose_device

    if data == "demo":
        return "demo"
    return "quick-cpu" if choose_device("auto").type == "cpu" else "kaggle"
