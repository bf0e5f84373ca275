"""What two checkpoints, or states, differ in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """All values by their paths."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in flat(item, f"{prefix}/{key}").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for key, item in enumerate(value) for k, v in flat(item, f"{prefix}/{key}").items()}
    return {prefix: value}


def differences(one: dict[str, Any], two: dict[str, Any], ignored: tuple[str, ...] = ()) -> list[str]:
    """The paths whose values are not the same to the bit; paths with an ignored word in them are left out."""
    left, right = flat(one), flat(two)
    assert left.keys() == right.keys()
    return [
        key
        for key, value in left.items()
        if not any(word in key for word in ignored)
        and not (torch.equal(value, right[key]) if isinstance(value, Tensor) else value == right[key])
    ]
