"""Contents of a checkpoint: numbers, words and tensors in plain dicts and lists; and the digest over them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from monet.errors import shown

_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8}
_MOST_VALUES = 200_000
_MOST_LEVELS = 10
_LONGEST_TEXT = 1000


class Damaged(ValueError):
    """The contents are not those that a run saves. The message says why."""


def plain(contents: Any, size: int) -> Any:
    """Copies what was unpickled into plain dicts and lists; tensors are not copied.

    Args:
        contents: any structure of dicts, lists, tuples, numbers, words and tensors.
        size: bytes of the file that it was read from; its tensors can be no larger, all of them together.

    Raises:
        Damaged: it holds anything else, a number that is not finite, or is far larger than the file.
    """
    return _Copy(size).copy(contents, "", 0)


def digest(contents: dict[str, Any]) -> str:
    """Returns the SHA-256 of contents: of all names, numbers and words, and of the type, shape and values of all
    tensors, wherever and in whatever layout those are kept."""
    return hashlib.sha256(json.dumps(_described(contents)).encode()).hexdigest()


def not_finite(contents: Any, where: str = "") -> str | None:
    """Returns the place of a tensor that holds numbers that are not finite, if there is one."""
    if isinstance(contents, Tensor):
        return None if _is_finite(contents) else where
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(contents, dict):
        items = contents.items()
    elif isinstance(contents, (list, tuple)):
        items = enumerate(contents)
    return next((found for name, value in items if (found := not_finite(value, f"{where}.{name}".strip(".")))), None)


def _is_finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def _described(value: Any) -> Any:
    if isinstance(value, dict):
        return [[name, _described(value[name])] for name in sorted(value, key=str)]
    if isinstance(value, (list, tuple)):
        return [_described(item) for item in value]
    if isinstance(value, Tensor):
        values = value.detach().cpu().contiguous().as_strided((value.numel(),), (1,))
        return [str(value.dtype), list(value.shape), hashlib.sha256(values.view(torch.uint8).numpy().data).hexdigest()]
    return value


class _Copy:
    """Copies one structure, and counts what it holds: a few bytes of a file can stand for endless values."""

    def __init__(self, size: int) -> None:
        self._bytes_left = size
        self._values_left = _MOST_VALUES

    def copy(self, value: Any, where: str, level: int) -> Any:
        self._values_left -= 1
        if level > _MOST_LEVELS or self._values_left < 0:
            raise Damaged(f"{where[:40] or 'it'} holds far more than a run saves")
        if isinstance(value, dict):
            names = {name: self._name(name, where) for name in value}
            return {name: self.copy(value[name], f"{where}{at}", level + 1) for name, at in names.items()}
        if isinstance(value, (list, tuple)):
            return [self.copy(item, f"{where}[{number}]", level + 1) for number, item in enumerate(value)]
        if isinstance(value, Tensor):
            return self._tensor(value.detach(), where)
        return self._scalar(value, where)

    def _name(self, name: Any, where: str) -> str:
        """Returns how a name is written behind those of the levels above it."""
        if type(self._scalar(name, where)) is str and name.isprintable():
            return f".{name}" if where else name
        if type(name) is int:
            return f"[{name}]"
        raise Damaged(f"{where or 'it'} has {shown(name)} for a name")

    def _scalar(self, value: Any, where: str) -> Any:
        if value is None or type(value) in (bool, float):
            return value
        if type(value) is int and abs(value) < 2**63:
            return value
        if type(value) is str and len(value) <= _LONGEST_TEXT:
            return value
        large = "a huge " if type(value) in (int, str) else "of type "
        raise Damaged(f"{where or 'it'} is {large}{type(value).__name__}")

    def _tensor(self, value: Tensor, where: str) -> Tensor:
        usual = value.layout == torch.strided and value.dtype in _DTYPES and value.device.type == "cpu"
        if not usual or value.is_neg() or value.is_conj():
            raise Damaged(f"{where} is a tensor that no run saves ({value.dtype}, {value.layout}, {value.device})")
        size = value.numel() * value.element_size()
        self._bytes_left -= size
        if size > value.untyped_storage().nbytes() or self._bytes_left < 0:
            raise Damaged(f"{where} is larger than the file: its shape is {list(value.shape)}")
        if not _is_finite(value):
            raise Damaged(f"{where} holds numbers that are not finite")
        return value
