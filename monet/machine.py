"""Facts about the machine: processors, memory, a compiler. Knows nothing of PyTorch, so that it is quick to import."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import shutil

import psutil

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
"""Parameters of mallopt(3)."""
_GIBIBYTE = 2**30
_HEAP = 2**26
"""The size of a thread's heap in glibc: one that is padded by so much is never given back."""
_LARGEST_FOR_OLDER_GLIBC = 2**25


def available_processors(processes: int = 1) -> int:
    """Returns the processors that this process may use, or its share where several such run here; at least 1."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, found // processes)


def available_memory() -> int:
    """Returns bytes of memory that can be taken without swapping."""
    return int(psutil.virtual_memory().available)


def total_memory() -> int:
    """Returns bytes of memory in the machine."""
    return int(psutil.virtual_memory().total)


@functools.cache
def keep_freed_memory() -> None:
    """Has the C library keep the memory that is freed for the next request, where it is glibc.

    By default it gives large blocks back to the system, which hands them out again page by page, each one zeroed: up to
    a third of the time of painting. The setting is the process's, and stays.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for threshold in (_GIBIBYTE, _LARGEST_FOR_OLDER_GLIBC):
            if library.mallopt(_M_MMAP_THRESHOLD, threshold):
                break
        library.mallopt(_M_TRIM_THRESHOLD, _GIBIBYTE)
        library.mallopt(_M_TOP_PAD, _HEAP)


def processor_name() -> str:
    """Returns the processor as its maker names it, where the system tells."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def compiler() -> str | None:
    """Returns the C++ compiler that `torch.compile` would use on a CPU; None where there is none."""
    return next((path for name in ("c++", "g++", "clang++", "cl") if (path := shutil.which(name))), None)
