"""Named settings. A recipe is a complete, commented YAML file beside this one; a user's own file may be partial."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from monet.config import GROUPS, Config, as_typed, from_dict
from monet.errors import InputError, shortened, shown
from monet.files import require_regular
from monet.recipes import plain_yaml

if TYPE_CHECKING:
    import jsonargparse

_FOLDER = Path(__file__).parent
_MOST_BYTES = 64 * 1024
"""Of a recipe; those that come with monet have 4 KiB."""
_TRACKING = "Trackers that follow the run; offline where there are no credentials for them."
_UNIONS = (typing.Union, types.UnionType)


def names() -> list[str]:
    """The recipes that come with monet."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def read(recipe: str) -> dict[str, Any]:
    """Reads a recipe.

    Args:
        recipe: a name from `names()`, or the path of a YAML file.

    Returns:
        The nested values as they stand in the file; not checked yet.

    Raises:
        InputError: there is no such recipe or file, or it is not a YAML mapping.
    """
    path = _FOLDER / f"{recipe}.yaml" if recipe in names() else Path(recipe)
    try:
        require_regular(path)
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        choices = ", ".join(names())
        wrong = f"no recipe {shown(recipe)}: give {choices}, or a YAML file{_nearest(recipe, names())}"
        raise InputError(wrong) from None
    except OSError as error:
        raise InputError(f"recipe {shortened(recipe, 200)} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"recipe {path} is not UTF-8 text (at byte {error.start}): write it in UTF-8") from None
    except ValueError:  # a NUL
        raise InputError(f"no recipe {shown(recipe)}: that is no name of a file") from None
    if len(data) > _MOST_BYTES:
        raise InputError(f"recipe {path} is longer than {_MOST_BYTES // 1024} KiB: expected settings and no more")
    try:
        values = plain_yaml.parse(text)
    except plain_yaml.NotPlain as error:
        raise InputError(f"recipe {path} cannot be used: {error}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise InputError(f"recipe {path} holds a {type(values).__name__}: expected settings such as 'training: …'")
    return values


def resolve(values: Mapping[str, Any], overrides: Sequence[str] = (), *, source: str = "recipe") -> Config:
    """Builds the settings from a recipe's values and what the command line overrides.

    Args:
        values: nested settings, as `read` returns them.
        overrides: command-line words such as `["--training.epochs", "3"]`.
        source: what to call `values` in an error.

    Raises:
        InputError: a setting is unknown (the message names the nearest right one), ill-typed or out of range.
    """
    _refuse_unknown_keys(values, source)
    _refuse_unknown_options(overrides)
    return from_dict(_typed_settings(_words(values), _as_lists(overrides)))


def _typed_settings(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Nested settings of the right types; words of the command line are read as a recipe's values are.

    Raises:
        InputError: a value has another type than its setting.
    """
    found: dict[str, Any] = {group: dict(values[group]) for group in GROUPS if isinstance(values.get(group), Mapping)}
    found |= {name: value for name, value in values.items() if name not in GROUPS}
    words = iter(overrides)
    for word in words:
        name, given, rest = word.removeprefix("--").partition("=")
        text = rest if given else next(words, None)
        if not word.startswith("--"):
            raise InputError(f"unrecognized arguments: {shortened(word, 80)}")
        if text is None:
            raise InputError(f"{shortened(word, 80)}: expected one argument, as in --training.epochs 3")
        group, _, field = name.rpartition(".")
        (found.setdefault(group, {}) if group else found)[field] = _read_word(text, setting_types()[name])
    for name in _dotted(found):
        group, _, field = name.rpartition(".")
        place = found[group] if group else found
        place[field] = _typed(name, place[field])
    return found


def _has_jsonargparse() -> bool:
    return importlib.util.find_spec("jsonargparse") is not None


def _read_word(text: str, annotation: Any) -> Any:
    """A word of the command line as a recipe's value; text where it is none, or where text is wanted."""
    if annotation is str or text in _choices(annotation) or not text.strip():
        return text
    try:
        value = plain_yaml.parse(text)
    except plain_yaml.NotPlain:
        return text
    return text if annotation == str | None and value is not None else value


def _typed(name: str, value: Any) -> Any:
    """A value in its setting's type, if it is of that, or a whole number where any number will do."""
    try:
        return as_typed(value, setting_types()[name])
    except TypeError:
        text = ",".join(map(str, value)) if name == "tracking" else str(value)
        raise InputError(_cannot_be(name, text)) from None


def settings_parser() -> jsonargparse.ArgumentParser:
    """The parser that knows every setting as `--group.field`, from the dataclasses in `monet.config`."""
    import jsonargparse

    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(exit_on_error=False, add_help=False, default_env=False)
    for name, group in GROUPS.items():
        parser.add_class_arguments(group, name)
    for setting in ("budget", "horizon"):
        parser.add_argument(f"--{setting}", type=str | None, default=None)
    parser.add_argument("--tracking", type=setting_types()["tracking"], default=(), help=_TRACKING)
    return parser


@cache
def setting_types() -> dict[str, Any]:
    """The type of every setting by its dotted name."""
    hints = typing.get_type_hints(Config)
    found: dict[str, Any] = {name: hints[name] for name in ("budget", "horizon", "tracking")}
    for name, group in GROUPS.items():
        hints = typing.get_type_hints(group)
        found |= {f"{name}.{field.name}": hints[field.name] for field in dataclasses.fields(group)}
    return found


def describe_settings() -> str:
    """Every setting with its type, default and meaning, a paragraph each, as `--help` shows them."""
    lines = []
    if not _has_jsonargparse():
        return "  (pip install jsonargparse shows them here)"
    for action in settings_parser()._actions:  # noqa: SLF001
        if action.dest in setting_types() and (action.help or "." in action.dest):
            kind = describe(setting_types()[action.dest])
            default = "null" if action.default is None else "none" if action.default == () else action.default
            lines.append(f"  --{action.dest}  {kind}; default {str(default).lower()}")
            lines += textwrap.wrap(
                " ".join(str(action.help).split()), 110, initial_indent="      ", subsequent_indent="      "
            )
    return "\n".join(lines)


def names_of(values: Mapping[str, Any]) -> frozenset[str]:
    """The dotted names of the settings in a recipe's values."""
    return frozenset(_dotted(values))


def names_in(overrides: Sequence[str]) -> frozenset[str]:
    """The dotted names of the settings among command-line words."""
    return frozenset(word[2:].split("=", 1)[0] for word in overrides if word.startswith("--"))


def settings_among(words: Sequence[str]) -> list[str]:
    """The settings among a command's words, with their values; its other options are left out."""
    found: list[str] = []
    for word, following in zip(words, [*words, "--"][1:], strict=True):
        name, given, _ = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in setting_types():
            found += [word] if given or following.startswith("--") else [word, following]
    return found


def _refuse_unknown_keys(values: Mapping[str, Any], source: str) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and key not in GROUPS and (key in setting_types() or not value):
            raise InputError(f"{source} gives {shortened(key, 80)} fields: it is no group of settings")
        if "." in key and key in setting_types():
            group, _, field = key.partition(".")
            raise InputError(f"{source} holds {key}: write {field} indented below {group}:")
    for key in _dotted(values):
        if key in GROUPS:
            raise InputError(f"{source} gives {key} no fields: write them indented below it, such as load_size: 286")
        if key not in setting_types():
            raise InputError(f"unknown setting {shortened(key, 80)} in {source}{_nearest(key, setting_types())}")


def _refuse_unknown_options(overrides: Sequence[str]) -> None:
    for name in sorted(names_in(overrides)):
        if name not in setting_types():
            options = [f"--{key}" for key in setting_types()]
            hint = _nearest(f"--{name}", options)
            raise InputError(f"unknown option --{shortened(name, 80)}: --help lists them all{hint}")


def _words(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with `on` and `off` as words where they are meant so: YAML reads them as true and false. One tracker,
    or none, is a list, too."""
    words, training = dict(values), values.get("training")
    if isinstance(training, Mapping) and isinstance(training.get("compile"), bool):
        words["training"] = {**training, "compile": "on" if training["compile"] else "off"}
    if "tracking" in words and not isinstance(words["tracking"], (list, tuple)):
        words["tracking"] = _listed(words["tracking"] or "")
    return words


def _as_lists(overrides: Sequence[str]) -> list[str]:
    """Command-line words with `--tracking clearml,wandb` written as the list that it is."""
    words, previous = [], ""
    for word in overrides:
        name, given, value = word.partition("=")
        if previous == "--tracking" and not word.startswith(("[", "--")):
            words.append(f"[{','.join(_listed(word))}]")
        elif name == "--tracking" and given and not value.startswith("["):
            words.append(f"{name}=[{','.join(_listed(value))}]")
        else:
            words.append(word)
        previous = word
    return words


def _listed(text: Any) -> list[str]:
    names = [name.strip() for name in str(text).split(",")]
    return [name for name in names if name and name != "none"]


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping) and not prefix:
            yield from _dotted(value, f"{key}.")
        else:
            yield f"{prefix}{key}"


def _nearest(name: str, known: typing.Iterable[str]) -> str:
    """`; did you mean X?` for a near miss, else nothing. A bare field name finds its group."""
    known = list(known)
    by_field = {key.rsplit(".", 1)[-1].lstrip("-"): key for key in known}
    if close := difflib.get_close_matches(name, known, n=1):
        return f"; did you mean {close[0]}?"
    if close := difflib.get_close_matches(name.rsplit(".", 1)[-1].lstrip("-"), by_field, n=1):
        return f"; did you mean {by_field[close[0]]}?"
    return ""


def _cannot_be(name: str, value: str) -> str:
    if name in ("budget", "horizon"):
        return f"{name} cannot be {shown(value)}: write it as 5h, 45m, 90s or 1h30m"
    annotation = setting_types()[name]
    return f"{name} cannot be {shown(value)}: give {describe(annotation)}{_nearest(value, _choices(annotation))}"


def _choices(annotation: Any) -> list[str]:
    """The words that a type allows, if it is made of such."""
    if typing.get_origin(annotation) is Literal:
        return list(typing.get_args(annotation))
    return [choice for part in typing.get_args(annotation) for choice in _choices(part)]


def describe(annotation: Any) -> str:
    """A type as a person would say it."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    if annotation in words:
        return words[annotation]
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return " or ".join([", ".join(map(str, arguments[:-1])), str(arguments[-1])]).removeprefix(" or ")
    if typing.get_origin(annotation) in _UNIONS:
        return " or ".join(describe(part) for part in arguments)
    if arguments[1:] == (...,):
        return f"one or more of {describe(arguments[0]).replace(' or ', ', ')}, with commas between, or none"
    return "a list of " + " and ".join(describe(part) for part in arguments)
