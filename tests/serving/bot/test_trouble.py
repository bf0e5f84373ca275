"""Trouble between the bot and Telegram: what is tried again, what is told, and that the token never is."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from monet.serving.bot.texts import Texts
from tests.serving.bot.conftest import SECRET_HALF, TOKEN, Bot
from tests.serving.bot.material import image
from tests.serving.bot.server import (
    PATIENCE,
    Person,
    TelegramServer,
    Trouble,
    bad_gateway,
    dropped,
    refusal,
    sent_in_circles,
    too_many,
)

People = Callable[..., Person]
Translated = Callable[..., bytes]
EN = Texts().of("en")
TRIES = 5


async def half(_: web.Request) -> web.StreamResponse:
    """A download that breaks off."""
    response = web.Response(body=b"0" * 100)
    response.headers["Content-Length"] = "1000"
    response.force_close()
    return response


@pytest.mark.parametrize("trouble", [bad_gateway, dropped, refusal(500, "Internal Server Error")])
@pytest.mark.parametrize("method", ["getFile", "sendPhoto"])
def test_a_request_that_fails_for_now_is_made_again(
    ann: Person, translated: Translated, method: str, trouble: Trouble
) -> None:
    given = image(1)
    ann.server.trouble[method].append(trouble)
    ann.sends(**ann.photo(given))
    painted = [ann.gets("sendPhoto").attached("photo")[1] for _ in range(1 + (method == "sendPhoto"))]
    assert set(painted) == {translated(given, "photo.jpg")}


def test_a_bot_that_is_too_fast_waits_as_long_as_telegram_asks(ann: Person) -> None:
    ann.server.trouble["sendPhoto"] += [too_many(1), too_many(1)]
    ann.sends(**ann.photo(image(1)))
    times = [ann.gets("sendPhoto").at for _ in range(3)]
    assert [1 <= later - earlier < 3 for earlier, later in itertools.pairwise(times)] == [True, True]


def test_an_album_is_sent_again_where_the_connection_breaks(ann: Person) -> None:
    ann.server.trouble["sendMediaGroup"].append(dropped)
    for seed in range(2):
        ann.sends(media_group_id="20", **ann.photo(image(seed)))
    first, second = ann.gets("sendMediaGroup"), ann.gets("sendMediaGroup")
    assert first.album == second.album
    assert len(first.album) == 2


@pytest.mark.parametrize("trouble", [bad_gateway, dropped, half, refusal(404, "Not Found")])
def test_a_download_that_fails_is_made_again(ann: Person, translated: Translated, trouble: Trouble) -> None:
    given = image(1)
    ann.server.trouble["download"].append(trouble)
    ann.sends(**ann.photo(given))
    assert ann.gets("sendPhoto").attached("photo")[1] == translated(given, "photo.jpg")


def test_a_download_that_fails_each_time_is_told(ann: Person) -> None:
    ann.server.trouble["download"] += [refusal(404, "Not Found")] * 3
    ann.sends(**ann.photo(image(1)))
    assert ann.is_told() == EN("not received")


def test_a_painting_that_telegram_refuses_is_told_without_its_reasons(ann: Person) -> None:
    ann.server.trouble["sendPhoto"].append(refusal(400, "Bad Request: PHOTO_INVALID_DIMENSIONS"))
    ann.sends(**ann.photo(image(1)))
    ann.gets("sendPhoto")
    assert ann.is_told() == EN("failed")


def test_somebody_who_has_blocked_the_bot_stops_nobody_else(person: People) -> None:
    gone, other = person(), person()
    gone.server.trouble["sendPhoto"].append(refusal(403, "Forbidden: bot was blocked by the user"))
    gone.sends(**gone.photo(image(1)))
    gone.gets("sendPhoto")
    other.sends(**other.photo(image(1)))
    other.gets("sendPhoto")
    assert gone.unread == 0


@pytest.mark.parametrize("trouble", [[bad_gateway], [dropped], [too_many(1)], [sent_in_circles]])
def test_updates_are_asked_for_again_after_trouble(ann: Person, trouble: list[Trouble]) -> None:
    ann.server.trouble["getUpdates"] += trouble
    ann.says("first")  # ends the request that waits; the next one fails
    assert ann.is_told() == EN("other")
    ann.says("second")
    assert ann.is_told() == EN("other")
    assert not ann.server.trouble["getUpdates"]


def test_the_health_file_is_touched_while_updates_are_asked_for(ann: Person, bot: Bot) -> None:
    file = bot.folder / "healthy"
    before = file.stat().st_mtime_ns
    ann.says("hello")
    ann.is_told()
    end = time.monotonic() + PATIENCE
    while file.stat().st_mtime_ns == before:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_token_is_in_nothing_that_the_bot_wrote_or_sent(
    ann: Person, bot: Bot, server: TelegramServer, state: Path
) -> None:
    server.trouble["getUpdates"].append(sent_in_circles)
    server.trouble["sendPhoto"] += [sent_in_circles] * TRIES
    server.trouble["sendMessage"] += [sent_in_circles, bad_gateway, dropped]
    ann.sends(**ann.photo(image(1)))
    ann.command("/strength 10")
    server.wait(lambda call: call.text == EN("strength chosen", strength=10), count=4)
    server.wait(lambda call: (call.chat, call.text) == (ann.id, EN("failed")))
    server.trouble["download"] += [sent_in_circles, *[refusal(401, "Unauthorized")] * 2]
    ann.sends(**ann.photo(image(1)))
    server.wait(lambda call: (call.chat, call.text) == (ann.id, EN("not received")))
    for hidden in ("/bot<token>/getUpdates", "/bot<token>/sendPhoto", "Traceback"):  # so there was something to hide
        assert hidden in bot.err
    sent = [json.dumps([call.fields, [name for name, _ in call.files.values()]]) for call in server.calls]
    for text in (bot.out, bot.err, state.read_text(), *sent):
        assert SECRET_HALF not in text
        assert TOKEN not in text
