"""From a request to a run that can begin: its settings, data and folder."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import os
import platform
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monet import recipes
from monet.clock import Deadline, format_duration, reserve_seconds
from monet.config import Config
from monet.context import Context
from monet.device import choose_device
from monet.errors import InputError
from monet.run.data import find_shared_data
from monet.run.request import RunRequest
from monet.run.resume import GivenSettings, merged_config
from monet.run.run import Run
from monet.run_folder.folder import RunFolder
from monet.settings import option_names, recipe_names, resolve
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
def prepared_run(request: RunRequest, context: Context) -> Iterator[Run]:
    """Finds the settings, the data and the folder of a run. No other process can use the folder while it is open.

    Args:
        request: the request.
        context: its surroundings.

    Raises:
        InputError: something in the request cannot be used.
    """
    check_settings(request)  # commands did so before their processes joined; a call from Python did not
    group = context.group
    folder = RunFolder(group.broadcast_object(lambda: request.run or _new_folder(context.now)))
    with contextlib.ExitStack() as stack:
        group.on_rank_zero(lambda: stack.callback(folder.hold(_holder(context))))
        stored = group.broadcast_object(lambda: folder.open(request.resume))
        context.interrupts.begin_run()
        config, given = _settings(request, context, stored)
        group.on_rank_zero(lambda: _require_possible(config, request, context))
        layout = find_shared_data(request.data, context)
        if request.resume and stored is None and group.rank == 0:
            logger.info("nothing to resume in %s: a new run begins", folder.path)
        budget = config.budget_seconds
        yield Run(
            config=config,
            given=given,
            layout=layout,
            folder=folder,
            resumed_from=stored,
            deadline=None if budget is None else Deadline(context.clock, context.started, budget),
            tracking=_tracking(config, context),
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


def _settings(request: RunRequest, context: Context, stored: dict[str, Any] | None) -> tuple[Config, GivenSettings]:
    """Returns the run's settings, and the names of those that the request and its recipe give."""
    named = recipes.read(request.recipe) if request.recipe is not None else {}
    values = named
    if request.recipe is None and stored is None:
        values = recipes.read(context.group.broadcast_object(lambda: _default_recipe(request.data)))
    config = resolve(values, request.overrides)
    given = GivenSettings(explicit=option_names(request.overrides), in_recipe=recipe_names(named))
    if stored is not None:
        config = merged_config(stored, config, given)
    if not request.train and "budget" not in given.explicit:
        config = dataclasses.replace(config, budget=None)  # that of the training says nothing about the painting
    return config, given


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
    elapsed, least_reserve = context.clock() - context.started, reserve_seconds(work=0.0, budget=config.budget_seconds)
    if config.budget_seconds < elapsed + least_reserve:
        raise InputError(
            f"a budget of {config.budget} leaves no time to train: ending alone takes up to "
            f"{format_duration(least_reserve)}; give --budget some minutes"
        )


def _tracking(config: Config, context: Context) -> Tracking:
    """Returns the trackers of a run; the first process alone has any."""
    if context.group.rank or not config.tracking:
        return Tracking()
    return Tracking(config.tracking, context.credentials())
