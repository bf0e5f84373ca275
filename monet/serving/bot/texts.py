"""What the bot says, in the language of whoever it talks to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from monet.errors import MonetError
from monet.serving.limits import Reason, Refused

Told = Literal[
    "command start",
    "command help",
    "command style",
    "command strength",
    "start",
    "help",
    "other",
    "style",
    "style chosen",
    "style gone",
    "no model",
    "strength",
    "strength chosen",
    "strength wrong",
    "waiting",
    "many waiting",
    "hourly limit",
    "stopped",
    "failed",
    "not received",
    "large painting",
    "format",
    "parts",
]
"""What the bot says of its own."""
Key = Told | Reason
"""The key of a text; it says also why something is not painted."""

_FILE = Path(__file__).with_name("texts.yaml")
DEFAULT = "en"
"""The language of everybody whose own is not here."""


class Declined(MonetError):
    """The bot does not do what it is asked for, for a reason of its own.

    Args:
        key: of the text that says why.
        values: what stands in that text, by name.
    """

    def __init__(self, key: Told, **values: object) -> None:
        super().__init__(key)
        self.key: Told = key
        self.values = values


@dataclass(frozen=True)
class Words:
    """The texts of one language."""

    language: str
    """Its code."""
    texts: Mapping[str, str]

    def __call__(self, key: Key, /, **values: object) -> str:
        """Returns a text with its values filled in."""
        return self.texts[key].format(**values)

    def reason(self, error: MonetError) -> str:
        """Returns why something is not painted; nothing about the machine, where that is at fault."""
        if isinstance(error, Declined):
            return self(error.key, **error.values)
        if isinstance(error, Refused):
            if error.reason == "many pixels" and not error.values:  # the format's limit, not the bot's
                return self("format")
            return self(error.reason, **error.values)
        return self("failed")


class Texts:
    """The texts of all languages.

    Args:
        path: a YAML file: texts by key, by language.
    """

    def __init__(self, path: Path = _FILE) -> None:
        sections: dict[str, dict[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.languages = {language: Words(language, texts) for language, texts in sections.items()}
        """The words of each language, by its code."""

    def of(self, code: str | None) -> Words:
        """Returns the words for a language code as Telegram has it, such as `de` or `pt-br`; English for others."""
        language = (code or "").lower().partition("-")[0]
        return self.languages.get(language, self.languages[DEFAULT])
