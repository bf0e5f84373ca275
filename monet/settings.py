"""Settings by their dotted names (`training.epochs`): read from recipes and command lines, checked, and described."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from monet import config
from monet.config import GROUPS, Config, as_typed, flat, from_dict
from monet.errors import InputError, did_you_mean, shortened, shown
from monet.recipes import plain_yaml

_UNIONS = (typing.Union, types.UnionType)
_WIDTH = 110
"""Columns of the text for `--help`."""


def resolve(values: Mapping[str, Any], overrides: Sequence[str] = (), *, source: str = "recipe") -> Config:
    """Builds the settings from a recipe's values and what the command line overrides.

    Args:
        values: nested settings, as `recipes.read` returns them.
        overrides: command-line words such as `["--training.epochs", "3"]`.
        source: what to call `values` in an error.

    Raises:
        InputError: a setting is unknown (the message names the nearest right one), ill-typed or out of range.
    """
    _refuse_unknown_keys(values, source)
    _refuse_unknown_options(overrides)
    nested: dict[str, Any] = {}
    for name, value in (_with_words(_by_name(values)) | _read_options(overrides)).items():
        group, _, field = name.rpartition(".")
        (nested.setdefault(group, {}) if group else nested)[field] = _typed(name, value)
    return from_dict(nested)


@cache
def setting_types() -> dict[str, Any]:
    """Returns the type of every setting by its dotted name."""
    hints = typing.get_type_hints(Config)
    found: dict[str, Any] = {name: hints[name] for name in ("budget", "horizon", "tracking")}
    for name, group in GROUPS.items():
        hints = typing.get_type_hints(group)
        found |= {f"{name}.{field.name}": hints[field.name] for field in dataclasses.fields(group)}
    return found


def recipe_names(values: Mapping[str, Any]) -> frozenset[str]:
    """Returns the dotted names of the settings in a recipe's values."""
    return frozenset(_by_name(values))


def option_names(overrides: Sequence[str]) -> frozenset[str]:
    """Returns the dotted names of the settings among command-line words."""
    return frozenset(word[2:].split("=", 1)[0] for word in overrides if word.startswith("--"))


def settings_among(words: Sequence[str]) -> list[str]:
    """Returns the settings among a command's words, with their values; its other options are left out."""
    found: list[str] = []
    for word, following in zip(words, [*words, "--"][1:], strict=True):
        name, given, _ = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in setting_types():
            found += [word] if given or following.startswith("--") else [word, following]
    return found


def describe_settings() -> str:
    """Returns every setting with its type, default and meaning, a paragraph each, as `--help` shows them."""
    defaults, meanings = flat(dataclasses.asdict(Config())), _meanings()
    lines = []
    for name in [*(name for name in setting_types() if "." in name), "tracking"]:  # the others are options
        default = {None: "null", (): "none" if name == "tracking" else "[]"}.get(defaults[name], defaults[name])
        lines.append(f"  --{name}  {describe(setting_types()[name])}; default {str(default).lower()}")
        lines += textwrap.wrap(meanings[name], _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def describe(annotation: Any) -> str:
    """Returns a type as a person would say it."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    if annotation in words:
        return words[annotation]
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return " or ".join([", ".join(map(str, arguments[:-1])), str(arguments[-1])]).removeprefix(" or ")
    if typing.get_origin(annotation) in _UNIONS:
        return " or ".join(describe(part) for part in arguments)
    if arguments[1:] == (...,) and typing.get_origin(arguments[0]) is tuple:
        inner = ", ".join(describe(part) for part in typing.get_args(arguments[0]))
        return f"[[{inner}], …], or []"
    if arguments[1:] == (...,):
        return f"one or more of {describe(arguments[0]).replace(' or ', ', ')}, with commas between, or none"
    return "a list of " + " and ".join(describe(part) for part in arguments)


def _meanings() -> dict[str, str]:
    """Returns the docstring below every field of the dataclasses in `monet.config`, by the setting's dotted name."""
    prefixes = {group.__name__: f"{name}." for name, group in GROUPS.items()} | {Config.__name__: ""}
    found = {}
    for node in ast.parse(inspect.getsource(config)).body:
        if isinstance(node, ast.ClassDef) and node.name in prefixes:
            for pair in itertools.pairwise(node.body):
                match pair:
                    case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(text))):
                        found[prefixes[node.name] + field] = " ".join(text.split())
    return found


def _by_name(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested settings by their dotted names; the values as they are, whatever they hold."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{field}": inner for field, inner in value.items()}
        else:
            found[key] = value
    return found


def _with_words(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the values with `on` and `off` as words where they are meant so: YAML reads them as true and false. One
    tracker, or none, is a list, too."""
    found, compiled, trackers = dict(values), values.get("training.compile"), values.get("tracking", [])
    if isinstance(compiled, bool):
        found["training.compile"] = "on" if compiled else "off"
    if not isinstance(trackers, (list, tuple)):
        found["tracking"] = _listed(trackers or "")
    return found


def _read_options(words: Sequence[str]) -> dict[str, Any]:
    """Returns the settings on a command line by their dotted names; their values are read as those of a recipe."""
    found, rest = {}, iter(words)
    for word in rest:
        if not word.startswith("--"):
            raise InputError(f"unrecognized arguments: {shortened(word, 80)}")
        name, given, value = word[2:].partition("=")
        text = value if given else next(rest, None)
        if text is None:
            raise InputError(f"{shortened(word, 80)}: expected one argument, as in --training.epochs 3")
        if name == "tracking" and not text.startswith("["):
            text = f"[{','.join(_listed(text))}]"
        found[name] = _read_word(text, setting_types()[name])
    return found


def _read_word(text: str, annotation: Any) -> Any:
    """Returns a word of the command line as a recipe's value; text where it is none, or where text is wanted."""
    if annotation is str or text in _choices(annotation) or not text.strip():
        return text
    try:
        value = plain_yaml.parse(text)
    except plain_yaml.NotPlain:
        return text
    return text if annotation == str | None and value is not None else value


def _typed(name: str, value: Any) -> Any:
    """Returns a value in its setting's type, if it is of that, or a whole number where any number will do."""
    annotation = setting_types()[name]
    try:
        return as_typed(value, annotation)
    except TypeError:
        text = ",".join(map(str, value)) if name == "tracking" else str(value)
    if name in ("budget", "horizon"):
        raise InputError(f"{name} cannot be {shown(text)}: write it as 5h, 45m, 90s or 1h30m")
    hint = did_you_mean(text, _choices(annotation))
    raise InputError(f"{name} cannot be {shown(text)}: give {describe(annotation)}{hint}")


def _refuse_unknown_keys(values: Mapping[str, Any], source: str) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and key not in GROUPS and (key in setting_types() or not value):
            raise InputError(f"{source} gives {shortened(key, 80)} fields: it is not a group of settings")
        if "." in key and key in setting_types():
            group, _, field = key.partition(".")
            raise InputError(f"{source} holds {key}: write {field} indented below {group}:")
    for key in _by_name(values):
        if key in GROUPS:
            raise InputError(f"{source} gives {key} no fields: write them indented below it, such as load_size: 286")
        if key not in setting_types():
            hint = did_you_mean(key, setting_types())
            raise InputError(f"unknown setting {shortened(key, 80)} in {source}{hint}")


def _refuse_unknown_options(overrides: Sequence[str]) -> None:
    for name in sorted(option_names(overrides)):
        if name not in setting_types():
            hint = did_you_mean(f"--{name}", [f"--{key}" for key in setting_types()])
            raise InputError(f"unknown option --{shortened(name, 80)}: --help lists them all{hint}")


def _listed(text: Any) -> list[str]:
    names = [name.strip() for name in str(text).split(",")]
    return [name for name in names if name and name != "none"]


def _choices(annotation: Any) -> list[str]:
    """Returns the words that a type allows, if it is made of such."""
    if typing.get_origin(annotation) is Literal:
        return list(typing.get_args(annotation))
    return [choice for part in typing.get_args(annotation) for choice in _choices(part)]
