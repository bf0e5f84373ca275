"""The libraries that only shards need."""

from __future__ import annotations

import importlib
from types import ModuleType

from monet.errors import MonetError

_EXTRA = "pip install 'ray[data]' pyarrow s3fs"


def library(name: str) -> ModuleType:
    """Returns a library, or a part of one.

    Raises:
        MonetError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MonetError(f"shards need {name.partition('.')[0]} ({error}): {_EXTRA}") from error
