"""The checkpoint file: everything that exact continuation needs, written whole, read without running code."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch

from monet.errors import InputError, MonetError
from monet.files import require_regular, written_whole

FORMAT = "monet-checkpoint"
VERSION = 1

LAST = "last.pt"
"""The name of the latest checkpoint in a run's `checkpoints/`."""


def epoch_name(epoch: int) -> str:
    """The name of the checkpoint that is kept for an epoch: `epoch-0010.pt`."""
    return f"epoch-{epoch:04d}.pt"


def save(path: Path, contents: dict[str, Any]) -> None:
    """Writes a checkpoint; a file of that name stays whole until the new one is complete.

    Args:
        path: the file.
        contents: tensors, numbers, strings, lists and dicts.

    Raises:
        MonetError: the disk is full, or the folder cannot be written to.
    """
    with written_whole(path) as file:
        try:
            torch.save({"format": FORMAT, "version": VERSION, **contents}, file)
        except RuntimeError as error:  # PyTorch's writer turns an OSError into this
            cause = error.__context__
            raise cause if isinstance(cause, OSError) else OSError(str(error).splitlines()[0]) from error


def keep_as(path: Path, name: str) -> None:
    """Keeps a saved checkpoint under a second name beside it; the two share their bytes where the disk allows."""
    copy = path.with_name(name + ".partial")
    copy.unlink(missing_ok=True)
    try:
        if sys.platform == "win32":
            raise OSError  # there an open file is not replaced, and someone may read this one while the other is
        os.link(path, copy)
    except OSError:
        try:
            shutil.copyfile(path, copy)
        except OSError as error:
            copy.unlink(missing_ok=True)
            raise MonetError(f"cannot write {path.with_name(name)}: {error.strerror}; {path} is whole") from error
    copy.replace(path.with_name(name))


def load(path: Path) -> dict[str, Any]:
    """Reads a checkpoint to the CPU.

    Raises:
        InputError: there is no such file, it is torn, damaged, not a checkpoint of monet, or of another version.
    """
    require_regular(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no checkpoint {path}: give a file such as runs/NAME/checkpoints/{LAST}") from None
    except OSError as error:
        raise InputError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    other = f"; go on from another file in {path.parent}"
    try:
        if (member := zipfile.ZipFile(io.BytesIO(data)).testzip()) is not None:
            raise InputError(f"checkpoint {path} is damaged (in {member}){other}")
        contents = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"checkpoint {path} is torn or not a checkpoint ({len(data)} bytes){other}") from error
    except (RuntimeError, pickle.UnpicklingError, ValueError) as error:
        raise InputError(f"checkpoint {path} is not one of monet's: {str(error).splitlines()[0]}") from error
    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise InputError(f"checkpoint {path} is not one of monet's: it holds no {FORMAT!r} mark")
    if contents.get("version") != VERSION:
        found = contents.get("version")
        raise InputError(f"checkpoint {path} has format version {found}; this monet reads {VERSION}: use that version")
    return contents
