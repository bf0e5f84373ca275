"""The options of the commands that hand out work to several processes or machines."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from monet.errors import InputError
from pipelines._command import place
from pipelines._numbers import number, whole_number

if TYPE_CHECKING:
    from monet.shards.engine import Resources

_OF_AN_ENGINE = ("ray_address", "workers", "gpus_per_worker", "cpus_per_worker", "shard_size", "max_unreadable")


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--engine` and what belongs to it."""
    group = parser.add_argument_group("many pictures", "shards (.parquet, .tar) and folders, by several processes")
    group.add_argument(
        "--engine",
        choices=["local", "ray"],
        help="local: processes of this machine; ray: Ray Data on a cluster (default: neither, but local for shards and "
        "addresses such as s3://bucket/photos)",
    )
    group.add_argument(
        "--ray-address",
        type=place,
        metavar="A",
        help="of the cluster: auto for the one that this machine belongs to, or host:6379 for that of a head (default: "
        "one on this machine, for this command)",
    )
    group.add_argument(
        "--workers",
        type=whole_number,
        metavar="N",
        help="processes (default: one for each GPU; without one as many as there are processors for; with ray as many "
        "as there is room for)",
    )
    group.add_argument(
        "--gpus-per-worker",
        type=number,
        metavar="G",
        help="GPUs of each process with ray, such as 0.5 (default: 1 where the cluster has some)",
    )
    group.add_argument(
        "--cpus-per-worker",
        type=whole_number,
        metavar="N",
        help="processors of each process, which decode and encode while a GPU computes: give 4 or more with a GPU "
        "(default: 1)",
    )
    group.add_argument(
        "--shard-size",
        type=whole_number,
        metavar="N",
        help="pictures of a shard, where a folder of pictures is cut into shards (default: 512)",
    )
    group.add_argument(
        "--max-unreadable",
        type=whole_number,
        metavar="N",
        help="exit code 0 where at most so many pictures could not be read (default: 0)",
    )


def engine_name(options: argparse.Namespace, given: str, output: str = "") -> str | None:
    """Returns the engine that is asked for: also by an input or an output that only an engine can read or write.

    Raises:
        InputError: there are options of an engine, and none is asked for.
    """
    from monet.shards.find import is_shard
    from monet.shards.store import is_remote

    if options.engine == "ray":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told what is done here
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what goes wrong comes as an error, too
        if options.ray_address is None and "ray" not in sys.modules:  # which reads them as it is imported
            _make_token()
    if options.max_unreadable is not None and options.max_unreadable < 0:
        raise InputError(f"--max-unreadable is {options.max_unreadable}: give 0 or more")
    if options.engine is None and (is_shard(given) or is_remote(output)):
        return "local"
    asked = [name for name in _OF_AN_ENGINE if getattr(options, name) is not None]
    if options.engine is None and asked:
        raise InputError(f"--{asked[0].replace('_', '-')} belongs to --engine: give --engine local or ray")
    return None if options.engine is None else str(options.engine)


def _make_token() -> None:
    """Has a cluster of this command's own answer nobody else: Ray runs what it is sent, and listens to the whole
    network. A token that it makes itself stays in `~/.ray`, for all users of this machine to read."""
    mode = os.environ.setdefault("RAY_AUTH_MODE", "token")
    if mode.lower() == "token" and not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def exit_code(options: argparse.Namespace, lost: Sequence[str], unreadable: int) -> int:
    """Returns 0 where all shards are done, and no more of their pictures are unreadable than may be.

    Args:
        options: the command line.
        lost: shards of which nothing is done.
        unreadable: pictures in the others that could not be read.
    """
    return 0 if not lost and unreadable <= (options.max_unreadable or 0) else 1


def resources_of(options: argparse.Namespace) -> Resources:
    """Returns what the processes use."""
    from monet.shards.engine import Resources

    return Resources(
        device=getattr(options, "device", "auto"),
        workers=options.workers,
        gpus_per_worker=options.gpus_per_worker,
        cpus_per_worker=options.cpus_per_worker or 1,
    )
