"""All that the bot says is there in every language."""

from __future__ import annotations

import string
from typing import get_args

import pytest

from monet.errors import MonetError
from monet.serving.bot.texts import Declined, Texts, Told
from monet.serving.limits import Limits, Reason, Refused

TEXTS = Texts()
KEYS = {*get_args(Told), *get_args(Reason)}


def places(text: str) -> set[str]:
    """The words in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_there_are_three_languages() -> None:
    assert set(TEXTS.languages) == {"en", "ru", "de"}


@pytest.mark.parametrize("language", ["en", "ru", "de"])
def test_a_language_has_every_text_and_every_text_the_same_values(language: str) -> None:
    english, other = TEXTS.languages["en"].texts, TEXTS.languages[language].texts
    assert set(other) == KEYS
    assert {key: places(text) for key, text in other.items()} == {key: places(text) for key, text in english.items()}
    assert all(isinstance(text, str) and text.strip() for text in other.values())


@pytest.mark.parametrize("language", ["ru", "de"])
def test_no_text_was_left_in_english(language: str) -> None:
    english, other = TEXTS.languages["en"].texts, TEXTS.languages[language].texts
    assert [key for key in KEYS if english[key] == other[key]] == []


@pytest.mark.parametrize("language", ["en", "ru", "de"])
def test_texts_are_as_short_as_telegram_wants_them(language: str) -> None:
    texts = TEXTS.languages[language].texts
    assert max(len(text) for text in texts.values()) < 4096
    for key in ("style gone", "no model", "style chosen", "strength chosen", "strength wrong"):  # on a button's answer
        assert len(texts[key]) < 130
    assert max(len(text) for key, text in texts.items() if key.startswith("command ")) <= 256


def test_each_refusal_has_its_text_with_its_values() -> None:
    words = TEXTS.of("en")
    with pytest.raises(Refused) as large:
        Limits(megabytes=1).require_file(2_621_440)
    assert words.reason(large.value) == "This file is too large: 2.5 MB. Send at most 1 MB."
    with pytest.raises(Refused) as long:
        Limits(clip=10).require_seconds(61)
    assert words.reason(long.value) == "This video is too long: 61 s. Send at most 10 s."
    slow = Refused("slow", "slow", most=600)
    assert words.reason(slow) == "Painting this takes longer than 600 s. Send something shorter or smaller."
    assert words.reason(Refused("many pixels", "16384 pixels, too large for WEBP")) == words("format")
    declined = Declined("hourly limit", most=5, minutes=3)
    assert words.reason(declined) == "That is enough for now. Pictures and videos an hour: 5. Minutes to wait: 3"


def test_what_is_wrong_with_the_machine_is_not_told() -> None:
    words = TEXTS.of("en")
    assert words.reason(MonetError("cannot write /srv/secret/place")) == words("failed")
