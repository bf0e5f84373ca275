"""The libraries that only an export needs."""

from __future__ import annotations

import importlib
from types import ModuleType

from monet.errors import MonetError

_NEEDED = ("onnx", "onnxruntime", "onnxscript")


def require_onnx() -> None:
    """Checks that the libraries are there with which ONNX graphs are made and run.

    Raises:
        MonetError: one is missing; the message says how to install it.
    """
    for name in _NEEDED:
        library(name)


def library(name: str) -> ModuleType:
    """Returns a library, or a part of one.

    Raises:
        MonetError: it is not installed.
    """
    try:
        found = importlib.import_module(name)
        if name.partition(".")[0] == "onnxruntime":  # it tells its makers how it is used
            importlib.import_module("onnxruntime").disable_telemetry_events()
        return found
    except ImportError as error:
        raise MonetError(f"ONNX needs {', '.join(_NEEDED)} ({error}): pip install {' '.join(_NEEDED)}") from error
