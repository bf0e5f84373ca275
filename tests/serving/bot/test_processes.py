"""How the bot is called, and how it ends: processes of their own, all of them at once."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monet.serving.bot.texts import Texts
from tests.serving.bot.conftest import FIXED, SECRET_HALF, TOKEN, Bot
from tests.serving.bot.material import image
from tests.serving.bot.server import Person, TelegramServer

EN = Texts().of("en")
SECRET = "a-secret-of-telegrams-own_1"
EARLY = 11
"""Somebody who wrote before the bot was there."""


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


@dataclass
class Processes:
    """Bots in different surroundings; each has a server of its own."""

    called: Bot
    """It has a webhook, and gets the token from the environment."""
    polling: Bot
    """It has the choices of an earlier process."""
    servers: dict[str, TelegramServer]
    port: int
    """Of the webhook."""


@pytest.fixture(scope="module")
def processes(checkpoint: Path, one_way: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    folder, port = tmp_path_factory.mktemp("processes"), free_port()
    servers = {name: TelegramServer(TOKEN) for name in ("called", "polling")}
    for server in servers.values():
        server.start()
    (folder / "secret").write_text(SECRET)
    (folder / "choices").write_text(
        json.dumps(
            {
                "monet bot choices": 1,
                "users": {"7": {"model": "sketch", "direction": "ab", "strength": 100}},
            }
        )
    )
    models = ("--checkpoint", checkpoint, "--checkpoint", one_way, *FIXED)
    hook = ("--webhook", f"http://127.0.0.1:{port}/hook", "--webhook-port", port)

    Person(servers["polling"], EARLY).says("/start")

    def start(name: str, *words: object, **token: Any) -> Bot:
        return Bot(folder / name, *models, "--api-server", servers[name].url, *words, **token)

    found = Processes(
        called=start(
            "called",
            *(*hook, "--webhook-secret-file", folder / "secret", "--per-hour", "2"),
            token=None,
            variable=TOKEN,
        ),
        polling=start("polling", "--state", folder / "choices"),
        servers=servers,
        port=port,
    )
    yield found
    for bot in (found.called, found.polling):
        if bot.process.poll() is None:
            bot.process.kill()
            bot.process.wait()
    for server in servers.values():
        server.stop()


def call_webhook(processes: Processes, update: dict[str, Any], secret: bytes) -> int:
    """Calls as Telegram does; returns the status."""
    connection = http.client.HTTPConnection("127.0.0.1", processes.port, timeout=20)
    headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret}
    connection.request("POST", "/hook", json.dumps(update).encode(), headers)  # type: ignore[arg-type]
    status = connection.getresponse().status
    connection.close()
    return status


def test_telegram_calls_the_webhook_and_nobody_else_is_heard(processes: Processes) -> None:
    server = processes.servers["called"]
    (told,) = server.wait(lambda call: call.method == "setWebhook")
    assert told.fields["url"] == f"http://127.0.0.1:{processes.port}/hook"
    assert told.fields["secret_token"] == SECRET
    assert json.loads(told.fields["allowed_updates"]) == ["message", "callback_query"]
    somebody = Person(server, 5)
    update = {"update_id": 1, "message": somebody.message(text="/start")}
    for wrong in (b"", b"another", b"\xff\xfe", SECRET.encode() + b"1"):
        assert call_webhook(processes, update, wrong) == 401
    assert call_webhook(processes, update, SECRET.encode()) == 200
    assert somebody.is_told() == EN("start")
    assert somebody.unread == 0
    assert not [call for call in server.calls if call.method == "getUpdates"]


def test_who_sends_too_much_in_an_hour_is_told_for_how_long_to_wait(processes: Processes) -> None:
    server = processes.servers["called"]
    server.wait(lambda call: call.method == "setWebhook")
    somebody = Person(server, 6, "de")
    for number in range(3):
        message = somebody.message(**somebody.photo(image(1)))
        assert call_webhook(processes, {"update_id": 100 + number, "message": message}, SECRET.encode()) == 200
        if number < 2:
            somebody.gets("sendPhoto")
    assert somebody.is_told() == ("Das genügt fürs Erste. Bilder und Videos in der Stunde: 2. Minuten zu warten: 60")


def test_what_was_sent_while_the_bot_was_down_is_answered(processes: Processes) -> None:
    server = processes.servers["polling"]
    assert Person(server, EARLY).is_told() == EN("start")
    (taken_back,) = [call for call in server.calls if call.method == "deleteWebhook"]
    assert taken_back.fields == {"drop_pending_updates": "false"}


def test_a_choice_outlives_the_process_and_ctrl_c_finishes_what_is_at_work(
    processes: Processes, translated: Any, one_way: Path
) -> None:
    server, bot = processes.servers["polling"], processes.polling
    server.wait(lambda call: call.method == "getUpdates")
    first, second = Person(server, 7), Person(server, 9, "ru")
    given = image(4)
    with server.holding("download"):
        first.sends(**first.photo(given))
        server.wait(lambda call: call.method == "download")
        last = second.sends(**second.photo(given))
        assert second.is_told() == Texts().of("ru")("waiting", place=1)
        bot.process.send_signal(signal.SIGINT)
        server.wait(lambda call: call.method == "getUpdates" and call.fields["timeout"] == "0")
        assert bot.process.poll() is None
    assert first.gets("sendPhoto").attached("photo")[1] == translated(given, "photo.jpg", checkpoint=one_way)
    assert second.is_told() == Texts().of("ru")("stopped")
    err = bot.ends(130)
    assert err.endswith("Ctrl-C: stopped; whoever still waited for a painting was told so\n")
    assert SECRET_HALF not in err
    confirmed = [call.fields for call in server.calls if call.method == "getUpdates"][-1]
    assert int(confirmed["offset"]) == last["update_id"] + 1  # it does not come again
    assert list(bot.temporary.iterdir()) == []


def test_a_second_ctrl_c_ends_the_bot_at_once(processes: Processes) -> None:
    server, bot = processes.servers["called"], processes.called
    server.wait(lambda call: call.method == "setWebhook")
    somebody = Person(server, 10)
    message = somebody.message(**somebody.photo(image(1)))
    with server.holding("download"):
        assert call_webhook(processes, {"update_id": 300, "message": message}, SECRET.encode()) == 200
        server.wait(lambda call: call.method == "download")
        bot.process.send_signal(signal.SIGINT)
        time.sleep(1.1)  # within a second it is taken for the same one
        assert bot.process.poll() is None
        bot.process.send_signal(signal.SIGINT)
        err = bot.ends(130)
    assert err.endswith("Ctrl-C: stopped at once\n")
    assert somebody.unread == 0
    assert SECRET_HALF not in err
    assert SECRET not in err
