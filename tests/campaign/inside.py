"""What happens in the child, before and as it runs the command."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import io
import os
import resource
import runpy
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tests.campaign.launch import Launch

_PR_CAPBSET_DROP, _CAPABILITIES, _CAPABILITY_VERSION = 24, 64, 0x20080522
_CLONE_NEWNS = 0x20000
_MS_PRIVATE = 0x44000
_COMMANDS = {
    *("submit", "train", "generate", "validate", "evaluate", "compare", "kernel", "doctor"),
    *("translate", "frames", "export", "studio", "bot"),
}


def import_everything() -> None:
    """Imports what commands import, and computes nothing: a fork with threads or pools in it would hang."""
    for name in ("torch", "torchvision", "kornia", "scipy.linalg", "torch_fidelity", "matplotlib.figure"):
        import_module(name)
    for name in ("matplotlib.backends.backend_agg", "jinja2", "kagglehub"):
        with contextlib.suppress(ImportError):
            import_module(name)
    import monet
    import pipelines

    for package in (monet, pipelines):
        for found in walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.split(".")[-1] not in _COMMANDS or found.name.startswith("monet."):
                with contextlib.suppress(ImportError):
                    import_module(found.name)
    import torch

    torch.set_num_threads(1)
    assert threading.active_count() == 1


def become(launch: Launch, ends: Sequence[int | None]) -> None:
    """Gives this process, a fresh fork, the streams, limits, folder and user of the command."""
    os.setsid()
    for usual in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGUSR1):
        signal.signal(usual, signal.SIG_DFL)
    _take_streams(ends)
    if launch.small_disk:
        _mount(launch.cwd / launch.small_disk[0], launch.small_disk[1])
    os.chdir(launch.cwd)
    os.umask(0o022)
    if launch.unprivileged and os.geteuid() == 0:
        _drop_capabilities()
    for number, limit in launch.limits.items():
        resource.setrlimit(number, (limit, limit))
    os.environ.clear()
    os.environ.update(launch.environment)


def run_here(module: str, words: Sequence[str], whole_exit: bool, leap: tuple[float, float] | None = None) -> NoReturn:
    """Runs a module as `python -m` does, and ends the process as Python does.

    Args:
        module: `pipelines.train` and so on.
        words: the command line.
        whole_exit: take the interpreter apart, too, which takes most of a second.
        leap: seconds after which the steady clock leaps, and how far.
    """
    if leap:
        _let_leap(*leap)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _make_streams()
    tempfile.tempdir = None
    sys.argv = [module, *words]
    import pipelines

    pipelines.STARTED = time.monotonic()
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = _as_code(end.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if whole_exit:
        ctypes.pythonapi.Py_Exit(code)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    os._exit(code)


def _let_leap(after: float, by: float) -> None:
    """Has the steady clock of Python leap, as after a machine was asleep, for whoever asks it from now on."""
    steady = time.monotonic
    begin = steady()

    def monotonic() -> float:
        now = steady()
        return now + by if now > begin + after else now

    time.monotonic = monotonic


def _as_code(value: object) -> int:
    if value is None or isinstance(value, int):
        return value or 0
    print(value, file=sys.stderr)
    return 1


def _take_streams(ends: Sequence[int | None]) -> None:
    # Their ends are moved out of the way first: one may lie where another is to go.
    kept = [None if end is None else os.dup(end) for end in ends]
    high = [None if end is None else os.dup2(end, 200 + number) for number, end in enumerate(kept)]
    for number, end in enumerate(high):
        if end is not None:
            os.dup2(end, number)
        else:
            with contextlib.suppress(OSError):
                os.close(number)
    os.closerange(3, 1024)


def _make_streams() -> None:
    """Objects for the three streams, as a new interpreter makes them."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream: io.TextIOWrapper | None = None
        with contextlib.suppress(OSError):
            os.fstat(number)
            raw = open(number, f"{mode}b", closefd=False, buffering=-1)  # noqa: SIM115
            errors = "backslashreplace" if number == 2 else "strict"
            interactive = number == 2 or raw.isatty()
            stream = io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=interactive)
            stream.mode = mode  # type: ignore[misc]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _drop_capabilities() -> None:
    """Leaves root its name alone: permissions count for it as for everyone."""
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(_CAPABILITIES):  # of programs that are started from here, too; the last ones do not exist
        libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, none):
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def _mount(folder: Path, size: str) -> None:
    """Puts a small file system over a folder, which only this process and its children see."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder.mkdir(parents=True, exist_ok=True)
    failed = libc.unshare(_CLONE_NEWNS)
    failed = failed or libc.mount(b"none", b"/", None, _MS_PRIVATE, None)
    if failed or libc.mount(b"none", bytes(folder), b"tmpfs", 0, f"size={size}".encode()):
        raise OSError(ctypes.get_errno(), f"no file system of {size} at {folder}")
