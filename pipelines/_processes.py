"""Several processes, as torchrun starts them."""

from __future__ import annotations

import atexit
import logging
import os
import socket
from typing import TYPE_CHECKING, NoReturn

from monet.errors import InputError, MonetError, shown
from monet.machine import available_processors
from pipelines._logging import LineFormatter

if TYPE_CHECKING:
    from monet.distributed import Group

_NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
_TORCHRUN = "TORCHELASTIC_RUN_ID"
"""A variable that torchrun alone sets."""
_PATIENCE = 20.0
"""Seconds in which torchrun has to answer."""


def check_processes() -> None:
    """Checks the variables that torchrun sets, before anyone waits for processes that are not there.

    Raises:
        InputError: one of them makes no sense, or they are there without torchrun.
    """
    for name in (*_NAMES, *(["MASTER_PORT"] if is_one_of_several() else [])):  # others, too, have a MASTER_PORT
        if (text := os.environ.get(name)) is not None and not _is_count(text):
            raise InputError(f"{name} is {shown(text)} in the environment: torchrun sets it to a number; unset it")
    if not is_one_of_several():
        return
    if _TORCHRUN not in os.environ:
        raise InputError(
            f"the environment has torchrun's WORLD_SIZE={os.environ['WORLD_SIZE']}, but torchrun did not start this "
            f"command: unset {', '.join(_NAMES)}, or start it with torchrun"
        )
    rank, local_rank, world_size, local_world_size = (int(os.environ[name]) for name in _NAMES)
    port = int(os.environ["MASTER_PORT"])
    if not (local_rank < local_world_size <= world_size and rank < world_size and 0 < port < 2**16):
        found = ", ".join(f"{name}={os.environ[name]}" for name in (*_NAMES, "MASTER_PORT"))
        raise InputError(f"{found} in the environment contradict each other: start the command with torchrun")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def is_one_of_several() -> bool:
    """Returns whether torchrun started this process and others."""
    size = os.environ.get("WORLD_SIZE", "1")
    return _is_count(size) and int(size) > 1 and {*_NAMES, "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


def join() -> Group:
    """Returns the processes that torchrun started, or this one alone. Of several, only the first one tells what it
    does.

    Raises:
        MonetError: the others cannot be met.
    """
    import torch

    from monet.distributed import Group, ProcessGroup

    if not is_one_of_several():
        return Group()
    rank, local_rank, world_size, local_world_size = (int(os.environ[name]) for name in _NAMES)
    if os.environ.get("OMP_NUM_THREADS") == "1":  # what torchrun sets, however many processors there are
        torch.set_num_threads(available_processors(local_world_size))
    if rank:
        logging.getLogger("monet").setLevel(logging.WARNING)
        for handler in logging.getLogger("monet").handlers:
            handler.setFormatter(LineFormatter(speaker()))
    _require_torchrun()
    return ProcessGroup(rank, local_rank, world_size, local_world_size)


def _require_torchrun() -> None:
    """Checks that torchrun, where it says that it keeps the meeting point, is there: PyTorch waits for half an hour.

    Raises:
        MonetError: no process answers.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    host, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except OSError as error:
        raise MonetError(
            f"torchrun does not answer at {host}:{port} ({error.strerror or error}): start the command with torchrun"
        ) from None


def leave(code: int) -> NoReturn:
    """Ends a command with its exit code, at once: when Python tidies up, it would fail on streams that nobody reads,
    show a traceback for a signal that comes late, or wait for another process that is lost."""
    if not is_one_of_several():
        atexit._run_exitfuncs()  # noqa: SLF001
    os._exit(code)


def is_first() -> bool:
    """Returns whether this process speaks for all: it is alone, or the first one."""
    return not is_one_of_several() or os.environ["RANK"] == "0"


def speaker() -> str:
    """Returns the prefix of the lines of a process that is not the first."""
    return "" if is_first() else f"process {os.environ['RANK']}: "
