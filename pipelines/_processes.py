"""Several processes, as torchrun starts them."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from monet.machine import available_processors

if TYPE_CHECKING:
    from monet.distributed import Group

_NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


def is_one_of_several() -> bool:
    """torchrun started this process and others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and {*_NAMES, "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


def join() -> Group:
    """The processes that torchrun started, or this one alone. Of several, only the first one tells what it does."""
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
            handler.setFormatter(logging.Formatter(f"{speaker()}%(message)s"))
    return ProcessGroup(rank, local_rank, world_size, local_world_size)


def leave(code: int) -> NoReturn:
    """Ends a command with its exit code. One of several processes ends at once: what joins them may abort, or wait for
    one that is lost, when Python tidies it up."""
    if is_one_of_several():
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # the reader is gone
                stream.flush()
        os._exit(code)
    sys.exit(code)


def is_first() -> bool:
    """This process speaks for all: it is alone, or the first one."""
    return not is_one_of_several() or os.environ["RANK"] == "0"


def speaker() -> str:
    """What stands before the lines of a process that is not the first."""
    return "" if is_first() else f"process {os.environ['RANK']}: "
