"""The part of YAML that settings need: mappings, lists, and words, numbers and true or false as YAML 1.2 reads them.

No aliases, tags, dates, or numbers in other bases, which the full language makes of what looks like a plain word; and
nothing that takes long or much memory, whatever the text.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml

from monet.errors import shortened, shown

_DEEPEST = 6
"""Levels; settings have three."""
_STR = "tag:yaml.org,2002:str"


class NotPlain(ValueError):
    """A text is no YAML, or more than settings need. The message says where, and what is wrong."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (as PyYAML has it)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:  # noqa: ARG002
        """As PyYAML does, but every key is a word, and none stands there twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != _STR:
                _refuse(key.start_mark, f"{shown(getattr(key, 'value', 'a list or mapping'))} is no name of a setting")
            if key.value in seen:
                _refuse(key.start_mark, f"{shown(key.value)} is there twice: keep one")
            seen.add(key.value)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), list(first))


_resolve("null", "~|null|Null|NULL", "~nN")
_resolve("bool", "(?i:yes|no|true|false|on|off)", "yYnNtTfFoO")
_resolve("int", r"[-+]?(?:0|[1-9][0-9]{0,18})", "-+0123456789")
_resolve("float", r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)", "-+.0123456789")
_resolve("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.")


def parse(text: str) -> Any:
    """Reads a text.

    Returns:
        dicts, lists, strings, numbers, booleans and None.

    Raises:
        NotPlain: it is no YAML, or has aliases, tags, several documents, a name twice, or too many levels.
    """
    try:
        _require_plain(text)
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        _refuse(error.problem_mark or error.context_mark, error.problem or error.context)
    except yaml.YAMLError as error:
        raise NotPlain(shortened(str(error), 200)) from None


def _require_plain(text: str) -> None:
    """Goes through a text without building anything of it."""
    depth = documents = 0
    for event in yaml.parse(text, _Loader):
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            _refuse(mark, "aliases (& and *) are not for settings: write the value itself")
        if getattr(event, "tag", None):
            _refuse(mark, "tags (!) are not for settings: write the value alone")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            _refuse(mark, f"more than {_DEEPEST} levels are not for settings")
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            _refuse(mark, "a second document (---) is not for settings")


def _refuse(mark: yaml.Mark | None, problem: str | None) -> NoReturn:
    where = f"line {mark.line + 1}: " if mark else ""
    words = (problem or "no YAML").replace("found unexpected end of stream", "the file ends within a value")
    raise NotPlain(f"{where}{shortened(words, 200)}")
