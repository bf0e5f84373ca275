"""From a request to a run that can begin: its settings, data and folder."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import platform
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monet import recipes
from monet.clock import format_duration, reserve_seconds
from monet.config import Config
from monet.context import Context
from monet.data.layout import Layout
from monet.device import choose_device
from monet.errors import InputError
from monet.run.data import find_data
from monet.run.request import RunRequest
from monet.run.resume import Job, merged_config
from monet.run_folder.folder import RunFolder
from monet.settings import names_in, names_of, resolve
from monet.tracking.tracking import Tracking

logger = logging.getLogger(__name__)


def check_settings(request: RunRequest) -> None:
    """Checks a request's settings, before anything is drawn, downloaded or waited for.

    Raises:
        InputError: the run to be resumed is not named, there is no such recipe, or a setting is unknown, ill-typed or
            out of range.
    """
    if request.resume and request.run is None:
        raise InputError("--resume needs to know which run: name its folder with --run")
    resolve({}, request.overrides)
    if request.recipe is not None:
        resolve(recipes.read(request.recipe), request.overrides, source=f"recipe {request.recipe}")


@contextlib.contextmanager
def prepared_run(request: RunRequest, context: Context) -> Iterator[Job]:
    """Finds the settings, the data and the folder of a run. No other process can use the folder while it is open.

    Args:
        request: the request.
        context: its surroundings.

    Raises:
        InputError: something in the request cannot be used.
    """
    check_settings(request)
    group = context.group
    folder = RunFolder(group.broadcast_object(lambda: request.run or _new_folder(context.now)))
    with contextlib.ExitStack() as stack:

        def hold() -> None:
            stack.callback(folder.hold(_holder(context)))

        group.broadcast_object(hold)
        stored = group.broadcast_object(lambda: folder.open(request.resume))
        context.interrupts.begin_run()
        config, explicit, in_recipe = _settings(request, context, stored)
        group.broadcast_object(lambda: _require_possible(config, request, context))
        layout = _find_data(request.data, context)
        if request.resume and stored is None and group.rank == 0:
            logger.info("nothing to resume in %s: a new run begins", folder.path)
        yield Job(
            config=config,
            layout=layout,
            folder=folder,
            checkpoint=stored,
            explicit=explicit,
            asked=explicit | in_recipe,
            paint=request.paint,
            skip_bad=request.skip_bad,
            clock=context.clock,
            started=context.started,
            environment={"command": list(context.command)},
            group=group,
            tracking=_tracking(config, context),
            display=context.display,
            interrupts=context.interrupts,
        )


def _new_folder(now: datetime.datetime) -> Path:
    return Path("runs") / now.strftime("%Y%m%d-%H%M%S")


def _holder(context: Context) -> dict[str, Any]:
    """Returns the facts that other processes are told of this one, while it uses a run's folder."""
    return {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": context.now.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "command": " ".join([*context.command[:1], shlex.join(context.command[1:])]),
    }


def _settings(
    request: RunRequest, context: Context, stored: dict[str, Any] | None
) -> tuple[Config, frozenset[str], frozenset[str]]:
    """Returns the run's settings, and the names of those that the request and its recipe give."""
    named = recipes.read(request.recipe) if request.recipe is not None else {}
    values = named
    if request.recipe is None and stored is None:
        values = recipes.read(context.group.broadcast_object(lambda: _default_recipe(request.data)))
    config = resolve(values, request.overrides)
    explicit, in_recipe = names_in(request.overrides), names_of(named)
    if stored is not None:
        config = merged_config(stored, config, explicit, in_recipe)
    return config, explicit, in_recipe


def _default_recipe(data: str) -> str:
    if data == "demo":
        return "demo"
    return "quick-cpu" if choose_device("auto").type == "cpu" else "kaggle"


def _require_possible(config: Config, request: RunRequest, context: Context) -> None:
    """Checks everything that needs no data, before any is drawn or downloaded.

    Raises:
        InputError: the device does not work here, or the budget is nearly over.
    """
    if config.training.device != "auto":
        choose_device(config.training.device)
    if not request.train or config.budget_seconds is None:
        return
    passed, ending = context.clock() - context.started, reserve_seconds(0.0, config.budget_seconds)
    if config.budget_seconds < passed + ending:
        raise InputError(
            f"a budget of {config.budget} leaves no time to train: ending alone takes up to {format_duration(ending)}; "
            "give --budget some minutes"
        )


def _find_data(data: str, context: Context) -> Layout:
    """Finds the data set. On each machine one process draws or downloads it, while the others wait."""
    group = context.group

    def find() -> Layout:
        return find_data(data, cache_folder=context.cache_folder, display=context.display)

    found: Layout | None = None

    def find_first() -> None:
        nonlocal found
        found = find()

    group.broadcast_object(find_first)
    if group.local_rank == 0 and found is None:
        found = find()
    group.barrier()
    return found or find()


def _tracking(config: Config, context: Context) -> Tracking:
    """Returns the trackers of a run; the first process alone has any."""
    if context.group.rank or not config.tracking:
        return Tracking()
    return Tracking(config.tracking, context.credentials())
