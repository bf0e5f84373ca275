"""What the machine has: processors, memory, a compiler. Knows nothing of PyTorch, so that it is quick to import."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil

import psutil


def available_processors(processes: int = 1) -> int:
    """Processors that this process may use, or its share of them where it is one of several alike; at least 1."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, found // processes)


def available_memory() -> int:
    """Bytes of memory that can be taken without swapping."""
    return int(psutil.virtual_memory().available)


def total_memory() -> int:
    """Bytes of memory in the machine."""
    return int(psutil.virtual_memory().total)


def processor_name() -> str:
    """The processor as its maker names it, where the system tells."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def compiler() -> str | None:
    """The C++ compiler that `torch.compile` would use on a CPU; None where there is none."""
    return next((path for name in ("c++", "g++", "clang++", "cl") if (path := shutil.which(name))), None)
