"""The model file: the generators of a run as safetensors, with its settings inside, to be handed on."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

from monet.checkpoint.contents import Damaged, digest, not_finite, plain
from monet.checkpoint.schema import conforming_model
from monet.config import DIRECTIONS
from monet.errors import InputError, MonetError, first_line, shortened
from monet.files import require_regular, written_whole
from monet.machine import available_memory

VERSION = 1
SUFFIX = ".safetensors"

_KEY = "monet"
"""Of the metadata; its value is JSON."""
_LONGEST_HEADER = 2**20
"""Bytes; the largest generators have a few hundred tensors."""
_LENGTH = 8
"""Bytes before the header, which hold its length."""


def is_model(path: Path) -> bool:
    """Returns whether a file begins as safetensors do; False where it cannot be read."""
    try:
        require_regular(path)
        with open(path, "rb") as file:
            start = file.read(_LENGTH + 1)
    except (OSError, InputError):
        return False
    return start[_LENGTH:] == b"{"


def is_own_model(path: Path) -> bool:
    """Returns whether a file is a model file of monet's, by its header."""
    try:
        return is_model(path) and _KEY in _header(path).get("__metadata__", {})
    except (OSError, InputError):
        return False


def save(path: Path, contents: dict[str, Any]) -> None:
    """Writes a model file, whole.

    Args:
        path: the file.
        contents: `config`: the settings as `monet.config.to_dict` has them; `learned`: `photos`, `paintings`, `pairs`
            and `seconds`; `generators`: the tensors of each direction, by name.

    Raises:
        MonetError: the file cannot be written, or safetensors is not installed.
    """
    if place := not_finite(contents):
        raise MonetError(f"{place} holds numbers that are not finite: {path} is left as it was")
    about = {name: value for name, value in contents.items() if name != "generators"}
    about = {"version": VERSION, **about, "digest": digest(contents)}
    tensors = {
        f"generator_{direction}.{name}": value.contiguous()
        for direction, values in contents["generators"].items()
        for name, value in values.items()
    }
    data = _library().torch.save(tensors, {"format": "pt", _KEY: json.dumps(about)})
    with written_whole(path) as file:
        file.write(data)


def load(path: Path) -> dict[str, Any]:
    """Reads a model file to the CPU.

    Returns:
        The contents, as for `save`.

    Raises:
        InputError: it is damaged, another program's, or of another version.
        MonetError: safetensors is not installed.
    """
    library = _library()
    size = path.stat().st_size
    if size > available_memory():
        raise InputError(f"model {path} cannot be read: its {size / 2**30:.1f} GiB are more than memory has left")
    metadata = _header(path).get("__metadata__", {})  # before memory is taken for the rest
    try:
        with library.safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # the reader has errors of its own, and those of PyTorch
        raise InputError(f"model {path} is damaged: {shortened(first_line(error), 200)}") from error
    if _KEY not in metadata:
        raise InputError(f"model {path} is not one of monet's: it holds no {_KEY!r} mark")
    try:
        about = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise InputError(f"model {path} is damaged: its settings are no JSON") from error
    version = about.pop("version", None) if isinstance(about, dict) else None
    if type(version) is not int or version != VERSION:
        raise InputError(f"model {path} has format version {version!r:.40}; this monet reads {VERSION}")
    try:
        stored = about.pop("digest", None)
        contents = plain({**about, "generators": _by_direction(tensors)}, size)
        if stored != digest(contents):
            raise Damaged("what it holds is not what was saved: the digest is another")
        return conforming_model(contents)
    except Damaged as error:
        raise InputError(f"model {path} is damaged: {error}") from error


def _header(path: Path) -> dict[str, Any]:
    """Returns the header of a safetensors file: what it holds, without the tensors.

    Raises:
        InputError: it is damaged, or far larger than that of a generator.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if length > _LONGEST_HEADER:
            raise InputError(f"model {path} is damaged: its header has {length:,} bytes")
        text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"model {path} is damaged: its header is no JSON") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise InputError(f"model {path} is damaged: its header holds no names")
    return header


def _by_direction(tensors: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key, value in tensors.items():
        network, _, name = key.partition(".")
        direction = network.removeprefix("generator_")
        if direction not in DIRECTIONS or direction == network:
            raise Damaged(f"it holds {key!r:.60}, which is of no generator")
        found.setdefault(direction, {})[name] = value
    return found


def _library() -> ModuleType:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MonetError(f"model files need safetensors ({error}): pip install safetensors") from error
    return safetensors
