"""The sections of a checkpoint: which there are, of what type, and within which bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from torch import Tensor

from monet.checkpoint.contents import Damaged
from monet.config import Config, from_dict
from monet.device import Precision
from monet.errors import InputError, shown

_MOST = 2**53
"""No number is larger; a float holds all integers up to it."""


@dataclass(frozen=True)
class Rule:
    """A single value."""

    expected: str
    """Description of valid values."""
    allows: Callable[[Any], bool]


@dataclass(frozen=True)
class Unless:
    """A section, or one value that says that there is none."""

    nothing: Any
    schema: Schema


@dataclass(frozen=True)
class ListOf:
    """Any number of sections of a kind."""

    schema: Schema


@dataclass(frozen=True)
class MapOf:
    """Any number of sections of a kind by name."""

    names: type
    schema: Schema


@dataclass(frozen=True)
class Added:
    """A fact that older checkpoints do not hold."""

    schema: Schema
    default: Any
    """Value of a section that is missing."""


Schema = Rule | Unless | ListOf | MapOf | Added | Mapping[str, "Schema"]


def integer(least: int = 0, most: int = _MOST) -> Rule:
    """Returns a whole number within bounds."""
    bounds = f"at least {least}" if most == _MOST else f"{least} to {most}"
    return Rule(f"an integer of {bounds}", lambda value: type(value) is int and least <= value <= most)


def number(least: float = 0, most: float = _MOST) -> Rule:
    """Returns a number within bounds."""
    bounds = f"at least {least}" if most == _MOST else f"{least} to {most}"
    return Rule(f"a number of {bounds}", lambda value: type(value) in (int, float) and least <= value <= most)


def word(*choices: str) -> Rule:
    """Returns one of some words."""
    return Rule(" or ".join(choices), lambda value: type(value) is str and value in choices)


_TENSOR = Rule("a tensor", lambda value: isinstance(value, Tensor))
_TENSORS = MapOf(str, _TENSOR)
_KIND = Rule("a kind of device", lambda value: type(value) is str and value.isidentifier() and len(value) < 32)
_ADAM: Schema = {
    "state": MapOf(int, {"step": _TENSOR, "exp_avg": _TENSOR, "exp_avg_sq": _TENSOR}),
    "param_groups": Rule("a list", lambda value: isinstance(value, list)),  # nothing in it is used
}
_SCALER: Schema = {
    "scale": number(most=3.5e38),
    "growth_factor": number(),
    "backoff_factor": number(0, 1),
    "growth_interval": integer(1),
    "_growth_tracker": integer(),
}

SCHEMA: dict[str, Schema] = {
    "config": Rule("settings by their names", lambda value: isinstance(value, dict)),
    "precision": word(*get_args(Precision)),
    "workers": Added(Unless(None, integer(1, 1024)), None),
    "device": Added(Unless(None, _KIND), None),
    "compiled": Added(Unless(None, Rule("true or false", lambda value: type(value) is bool)), None),
    "data": {"photos": integer(1), "paintings": integer(1)},
    "horizon": {"pairs": Unless(None, integer(1)), "seconds": Unless(None, number())},
    "counters": {
        "step": integer(),
        "pairs": integer(),
        "skipped": integer(),
        "seconds": number(),
        "progress": number(0, 1),
        "fp32_until": integer(),
    },
    "incidents": ListOf({"pairs": integer(), "skipped": integer(1), "fp32_until": integer()}),
    "networks": {
        "generator_ab": _TENSORS,
        "generator_ba": _TENSORS,
        "discriminator_a": _TENSORS,
        "discriminator_b": _TENSORS,
    },
    "ema": Unless(None, {"generator_ab": _TENSORS, "generator_ba": _TENSORS}),
    "optimizers": {"generators": _ADAM, "discriminators": _ADAM},
    "scaler": Unless({}, _SCALER),
    "pools": {"a": {"images": Unless(None, _TENSOR)}, "b": {"images": Unless(None, _TENSOR)}},
}
"""All sections, less the mark, the version and the digest of the file. A fact that is new gets a line here, wrapped in
`Added` with its default, so that older checkpoints can still be read."""


MODEL_SCHEMA: dict[str, Schema] = {
    "config": SCHEMA["config"],
    "learned": {"photos": integer(1), "paintings": integer(1), "pairs": integer(), "seconds": number()},
    "generators": MapOf(str, _TENSORS),
}
"""The same for a model file."""


def conforming_model(contents: Any) -> dict[str, Any]:
    """Checks the contents of a model file.

    Raises:
        Damaged: a section is missing, unknown, of the wrong type or out of bounds, or there is no generator_ab.
    """
    checked: dict[str, Any] = _conforming(contents, MODEL_SCHEMA, "")
    _settings(checked)
    if "ab" not in checked["generators"]:
        raise Damaged("it holds no generator_ab")
    return checked


def conforming(contents: Any) -> dict[str, Any]:
    """Checks contents, and adds the facts that they are too old to hold.

    Raises:
        Damaged: a section is missing, unknown, of the wrong type or out of bounds, or contradicts another.
    """
    checked: dict[str, Any] = _conforming(contents, SCHEMA, "")
    config = _settings(checked)
    counters = checked["counters"]
    for name in ("step", "skipped"):
        if counters[name] > counters["pairs"]:
            raise Damaged(f"counters.{name} is {counters[name]}, more than the {counters['pairs']} pairs seen")
    if checked["horizon"] == {"pairs": None, "seconds": None}:
        raise Damaged("its horizon has neither pairs nor seconds")
    if (checked["ema"] is None) != (config.training.ema == 0):
        raise Damaged(f"ema is {_shown(checked['ema'])} where training.ema is {config.training.ema}")
    return checked


def _settings(checked: dict[str, Any]) -> Config:
    try:
        return from_dict(checked["config"])
    except InputError as error:
        raise Damaged(f"in its settings, {error}") from error


def _conforming(value: Any, schema: Schema, where: str) -> Any:
    match schema:
        case Rule():
            if not schema.allows(value):
                raise Damaged(f"{where} is {_shown(value)}, expected {schema.expected}")
            return value
        case Unless():
            nothing = type(value) is type(schema.nothing) and value == schema.nothing
            return value if nothing else _conforming(value, schema.schema, where)
        case Added():
            return _conforming(value, schema.schema, where)
        case ListOf():
            _require(list, value, where)
            return [_conforming(item, schema.schema, f"{where}[{number}]") for number, item in enumerate(value)]
        case MapOf():
            _require(dict, value, where)
            for name in value:
                if type(name) is not schema.names:
                    raise Damaged(f"{where} has {_shown(name)} for a name, expected {schema.names.__name__}")
            return {name: _conforming(item, schema.schema, f"{where}.{name}") for name, item in value.items()}
    return _fields(value, schema, where)


def _fields(value: Any, schema: Mapping[str, Schema], where: str) -> dict[str, Any]:
    _require(dict, value, where)
    for name in value:
        if name not in schema:
            raise Damaged(f"{where or 'it'} holds {_shown(name)}, which is unknown to this version of monet")
    found = {}
    for name, part in schema.items():
        if name in value:
            found[name] = _conforming(value[name], part, f"{where}.{name}" if where else name)
        elif isinstance(part, Added):
            found[name] = part.default
        else:
            raise Damaged(f"{where or 'it'} holds no {name}")
    return found


def _require(kind: type, value: Any, where: str) -> None:
    if not isinstance(value, kind):
        raise Damaged(f"{where or 'it'} is {_shown(value)}, expected a {kind.__name__}")


def _shown(value: Any) -> str:
    return f"a {type(value).__name__.lower()}" if isinstance(value, (Tensor, dict, list)) else shown(value)
