"""The checkpoint file: everything that exact continuation needs, written whole with a digest over it, and read without
running code or trusting it: what `load` returns has the sections, types and bounds of `schema.SCHEMA`."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from monet.checkpoint.contents import Damaged, digest, not_finite, plain
from monet.checkpoint.schema import conforming
from monet.checkpoint.unpickling import Foreign, unpickled
from monet.errors import InputError, MonetError, first_line, shown
from monet.files import require_regular, sync_folder, written_whole
from monet.machine import available_memory

logger = logging.getLogger(__name__)

FORMAT = "monet-checkpoint"
VERSION = 2
"""Version 1 had no digest; it is still read."""

LAST = "last.pt"
"""The name of the latest checkpoint in a run's `checkpoints/`."""


def epoch_name(epoch: int) -> str:
    """Returns the name of the checkpoint that is kept for an epoch: `epoch-0010.pt`."""
    return f"epoch-{epoch:04d}.pt"


def save(path: Path, contents: dict[str, Any]) -> None:
    """Writes a checkpoint; a file of that name stays whole until the new one is complete.

    Args:
        path: the file.
        contents: tensors, numbers, strings, lists and dicts.

    Raises:
        MonetError: the disk is full, or the folder cannot be written to, or a tensor holds what is no number, which
            nobody could resume from.
    """
    if place := not_finite(contents):
        raise MonetError(f"{place} holds numbers that are not finite: {path} is left as it was")
    contents = {**contents, "format": FORMAT, "version": VERSION}
    contents["digest"] = digest(contents)
    with written_whole(path) as file:
        try:
            torch.save(contents, file)
        except RuntimeError as error:  # PyTorch's writer turns an OSError into this
            cause = error.__context__
            raise cause if isinstance(cause, OSError) else OSError(first_line(error)) from error


def keep_as(path: Path, name: str) -> None:
    """Keeps a saved checkpoint under a second name beside it; the two share their bytes where the disk allows.

    Raises:
        MonetError: the disk is full, or the folder cannot be written to.
    """
    kept = path.with_name(name)
    link = kept.with_name(kept.name + ".partial")
    link.unlink(missing_ok=True)
    try:
        if sys.platform == "win32":
            raise OSError  # there an open file is not replaced, and someone may read this one while the other is
        os.link(path, link)
    except OSError:
        with open(path, "rb") as saved, written_whole(kept) as file:
            shutil.copyfileobj(saved, file)
    else:
        link.replace(kept)
        sync_folder(kept.parent)


def load(path: Path) -> dict[str, Any]:
    """Reads a checkpoint to the CPU.

    Raises:
        InputError: there is no such file, it is torn, damaged, not a checkpoint of monet, or of another version.
    """
    data = _read(path)
    try:
        contents = unpickled(data)
        version = _version(contents)
        contents = plain(contents, len(data))
        if version == 1:
            logger.debug("%s is of format version 1: it has no digest to check", path)
        elif contents.pop("digest", None) != digest(contents):
            raise Damaged("what it holds is not what was saved: the digest is another")
        sections = conforming({name: value for name, value in contents.items() if name not in ("format", "version")})
        return {**sections, "format": FORMAT, "version": version}
    except Damaged as error:
        raise InputError(f"checkpoint {path} is damaged: {error}; use another file in {path.parent}") from error
    except Foreign as error:
        raise InputError(f"checkpoint {path} {error}") from error


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a checkpoint, such as {path / 'checkpoints' / LAST}")
    require_regular(path)
    try:
        if (size := path.stat().st_size) > available_memory():
            raise InputError(
                f"checkpoint {path} cannot be read: its {size / 2**30:.1f} GiB are more than memory has left"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no checkpoint {path}: give a file such as runs/NAME/checkpoints/{LAST}") from None
    except OSError as error:
        raise InputError(f"checkpoint {path} cannot be read: {error.strerror}") from error


def _version(contents: Any) -> int:
    """Returns the format version, where the mark and the version are those of a checkpoint that this monet can read."""
    mark, version = (contents.get(name) if isinstance(contents, dict) else None for name in ("format", "version"))
    if type(mark) is not str or mark != FORMAT:
        raise Foreign(f"is not one of monet's: it holds no {FORMAT!r} mark")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise Foreign(f"has format version {shown(version)}; this monet reads 1 to {VERSION}: use that version")
    return version
