"""Commands and buttons, in three languages, and what is remembered of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from monet.serving.bot.texts import Texts
from tests.serving.bot.conftest import Bot
from tests.serving.bot.material import image
from tests.serving.bot.server import Person, TelegramServer

People = Callable[..., Person]
Translated = Callable[..., bytes]
EN = Texts().of("en")
LIMITS = {"megabytes": "1", "megapixels": "0.5", "seconds": "4", "hourly": 500, "waiting": 3}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Send me a photo, and I paint it."),
        ("en-US", "Send me a photo, and I paint it."),
        ("ru", "Пришлите мне фото, и я превращу его в картину."),
        ("de-AT", "Schick mir ein Foto, und ich male es."),
        ("fr", "Send me a photo, and I paint it."),
        (None, "Send me a photo, and I paint it."),
    ],
)
def test_the_bot_speaks_the_language_of_the_user_and_english_to_others(
    person: People, language: str | None, words: str
) -> None:
    somebody = person(language)
    somebody.command("/start")
    assert somebody.is_told().splitlines()[0] == words


@pytest.mark.parametrize("language", ["en", "ru", "de"])
def test_help_tells_the_limits(person: People, language: str) -> None:
    somebody = person(language)
    somebody.command("/help")
    assert somebody.is_told() == Texts().of(language)("help", **LIMITS)


def test_the_menu_is_there_in_three_languages(server: TelegramServer, bot: Bot) -> None:
    menus = {
        call.fields.get("language_code"): json.loads(call.fields["commands"])
        for call in server.calls
        if call.method == "setMyCommands"
    }
    assert set(menus) == {None, "ru", "de"}
    for code, menu in menus.items():
        assert [entry["command"] for entry in menu] == ["start", "help", "style", "strength"]
        assert menu[2]["description"] == Texts().of(code)("command style")


def buttons(person: Person) -> dict[str, str]:
    """The data of the buttons of /style, by label."""
    person.command("/style")
    rows = person.gets("sendMessage").buttons
    return {label: data for row in rows for label, data in row}


def test_styles_are_all_models_in_all_their_directions_with_the_current_one_marked(ann: Person) -> None:
    ann.command("/style")
    answer = ann.gets("sendMessage")
    assert answer.text == "Choose a style. Now: painter →"
    labels = [[label for label, _ in row] for row in answer.buttons]
    assert labels == [["✓ painter →", "painter ←"], ["sketch"]]
    assert max(len(data.encode()) for row in answer.buttons for _, data in row) <= 64


def test_a_style_that_was_chosen_paints_from_then_on(ann: Person, one_way: Path, translated: Translated) -> None:
    given = image(1)
    ann.presses(buttons(ann)["sketch"])
    changed = ann.gets("editMessageText")
    assert changed.text == "Style: sketch"
    assert [[label for label, _ in row] for row in changed.buttons][1] == ["✓ sketch"]
    answered = ann.server.wait(lambda call: call.method == "answerCallbackQuery")[-1]
    assert answered.text == "Style: sketch"
    ann.sends(**ann.photo(given))
    assert ann.gets("sendPhoto").attached("photo")[1] == translated(given, "photo.jpg", checkpoint=one_way)


def test_the_way_back_is_a_style_of_its_own(ann: Person, translated: Translated) -> None:
    given = image(1)
    ann.presses(buttons(ann)["painter ←"])
    assert ann.gets("editMessageText").text == "Style: painter ←"
    ann.sends(**ann.photo(given))
    painted = ann.gets("sendPhoto").attached("photo")[1]
    assert painted == translated(given, "photo.jpg", direction="ba")
    assert painted != translated(given, "photo.jpg", direction="ab")


@pytest.mark.parametrize("data", ["style:0123456789abcdef", "of an earlier version", "style:"])
def test_a_button_of_a_style_that_is_gone_shows_those_that_are_there(person: People, data: str) -> None:
    somebody = person("de")
    somebody.presses(data)
    answer = somebody.gets("editMessageText")
    assert answer.text == "Diesen Stil gibt es nicht mehr. Wähle einen von diesen."
    assert [len(row) for row in answer.buttons] == [2, 1]


def test_strength_is_set_by_a_number_or_a_button(ann: Person) -> None:
    ann.command("/strength")
    answer = ann.gets("sendMessage")
    assert answer.text == EN("strength", strength=100)
    assert answer.buttons == [
        [
            ("25 %", "strength:25"),
            ("50 %", "strength:50"),
            ("75 %", "strength:75"),
            ("✓ 100 %", "strength:100"),
        ]
    ]
    ann.presses("strength:25")
    assert ann.gets("editMessageText").text == "Strength: 25 %"
    ann.command("/strength 60%")
    assert ann.is_told() == "Strength: 60 %"
    ann.command("/strength")
    assert ann.is_told() == EN("strength", strength=60)


@pytest.mark.parametrize("given", ["101", "-1", "much", "50.5", "5 0", "٥٠", "0x10", "1000000000000"])
def test_another_strength_is_answered_with_how_to_write_it(ann: Person, given: str) -> None:
    ann.command(f"/strength {given}")
    assert ann.is_told() == "Write /strength with a number from 0 to 100, such as /strength 60."
    ann.presses(f"strength:{given}"[:64])
    assert ann.gets("editMessageText").text == "Write /strength with a number from 0 to 100, such as /strength 60."


def test_of_people_id_style_and_strength_are_kept_and_nothing_else(ann: Person, state: Path) -> None:
    ann.command("/strength 40")
    ann.is_told()
    kept = json.loads(state.read_text())
    assert set(kept) == {"monet bot choices", "users"}
    assert kept["users"][str(ann.id)] == {"model": None, "direction": "ab", "strength": 40}
