"""What ends the bot before it listens, or soon after."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from monet.serving.bot import persistence
from monet.serving.bot.bot import BotSettings, serve
from monet.serving.bot.choices import Choices
from monet.serving.models import Models
from tests.pipelines.conftest import command
from tests.serving.bot.conftest import FIXED, SECRET_HALF, TOKEN
from tests.serving.bot.server import TelegramServer, bad_gateway, refusal, sent_in_circles
from tests.serving.bot.surroundings import logs_restored

UNKNOWN = "error: Telegram does not know this token, or no longer: ask @BotFather for another one, with /token\n"
TRIES = 5


@pytest.fixture(autouse=True)
def _surroundings(own_signals: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("BOT_TOKEN", TOKEN)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(persistence, "_PAUSES", (0.01, 0.02, 0.03, 0.04))
    with logs_restored():
        yield


def ended(capsys: pytest.CaptureFixture[str], checkpoint: Path, url: str, code: int, *words: object) -> str:
    """Starts a bot that does not get far; returns what it said."""
    assert command("bot", "--checkpoint", checkpoint, "--api-server", url, *FIXED, *words) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert SECRET_HALF not in shown.err
    return shown.err


def test_a_server_that_is_not_there_ends_the_command_after_some_tries(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))  # and nobody listens
        err = ended(capsys, checkpoint, f"http://127.0.0.1:{place.getsockname()[1]}", 1)
    *tries, last = err.splitlines()
    assert tries == [f"warning: getMe: TelegramNetworkError; again in {pause:g} s" for pause in persistence._PAUSES]
    assert last.startswith("error: Telegram does not answer at 127.0.0.1 (HTTP Client says - ClientConnectorError: ")
    assert last.endswith("): check the connection, and start again")


@pytest.mark.parametrize("status", [401, 404])
def test_a_token_that_telegram_does_not_know_is_bad_input_told_in_one_line(
    own_server: TelegramServer, checkpoint: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    own_server.trouble["getMe"].append(refusal(status, "Unauthorized"))
    assert ended(capsys, checkpoint, own_server.url, 2) == UNKNOWN


@pytest.mark.parametrize(
    ("body", "reason"), [(b'{"ok": true}', "it answers with no bot"), (b'{"ok": "\xff"}', "'utf-8' codec can't decode")]
)
def test_a_server_that_answers_with_something_else_is_told_in_one_line(
    own_server: TelegramServer, checkpoint: Path, capsys: pytest.CaptureFixture[str], body: bytes, reason: str
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    own_server.trouble["getMe"].append(answer)
    err = ended(capsys, checkpoint, own_server.url, 1)
    assert err.startswith(f"error: Telegram does not answer at 127.0.0.1 ({reason}")
    assert err.count("\n") == 1


def test_a_bot_that_is_to_stop_does_not_mind_that_telegram_is_away(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = BotSettings(token=TOKEN, server="http://127.0.0.1:9")
    models = Models([checkpoint], device="cpu", precision="fp32")
    asyncio.run(serve(settings, models, Choices(tmp_path / "choices.json"), lambda: True, time.monotonic))
    assert "Telegram was away at the end: TelegramNetworkError" in caplog.text


@pytest.mark.parametrize("words", [(), ("--debug",)], ids=["plain", "debug"])
def test_an_error_that_names_the_address_is_told_without_the_token(
    own_server: TelegramServer, checkpoint: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    own_server.trouble["getMe"] += [sent_in_circles] * TRIES
    err = ended(capsys, checkpoint, own_server.url, 1, *words)
    assert "/bot<token>/getMe" in err.splitlines()[-1]
    assert ("Traceback" in err) == bool(words)


def test_an_address_that_telegram_does_not_call_is_bad_input(
    own_server: TelegramServer, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_server.trouble["setWebhook"].append(refusal(400, "Bad Request: bad webhook: An HTTPS URL must be provided"))
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    err = ended(capsys, checkpoint, own_server.url, 2, "--webhook", "http://example.org/hook", "--webhook-port", port)
    assert err.splitlines()[-1] == (
        "error: Telegram does not call http://example.org/hook: Bad Request: bad webhook: An HTTPS URL must be provided"
    )


def test_a_port_that_is_taken_is_bad_input(
    own_server: TelegramServer, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--webhook", "https://example.org/hook", "--webhook-port", own_server.port)
    err = ended(capsys, checkpoint, own_server.url, 2, *words)
    assert err.splitlines()[-1].startswith(f"error: cannot listen on 127.0.0.1:{own_server.port} (")
    assert err.endswith("): give another address or port\n")


def test_a_menu_that_is_not_taken_does_not_keep_the_bot_from_listening(
    own_server: TelegramServer, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_server.trouble["setMyCommands"].append(refusal(400, "Bad Request: wrong command"))
    own_server.trouble["deleteWebhook"] += [bad_gateway] * TRIES  # which ends it
    err = ended(capsys, checkpoint, own_server.url, 1)
    assert "warning: Telegram does not take the menu: Telegram server says - Bad Request: wrong command\n" in err
    assert [call.method for call in own_server.calls][:3] == ["getMe", "setMyCommands", "deleteWebhook"]


def test_a_token_that_is_revoked_ends_the_bot(
    own_server: TelegramServer, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_server.trouble["getUpdates"] += [refusal(401, "Unauthorized")] * 2
    err = ended(capsys, checkpoint, own_server.url, 2)
    assert "@painter_bot listens; Ctrl-C stops it\n" in err
    assert err.endswith(UNKNOWN)
    assert "Traceback" not in err
