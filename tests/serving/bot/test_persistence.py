"""Which requests are made again, when, and how often."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import GetMe, GetUpdates, Response, SendChatAction, SendMessage, TelegramMethod

from monet.serving.bot.persistence import Persistent

SEND = SendMessage(chat_id=1, text="hello")
ACTION = SendChatAction(chat_id=1, action="typing")


class Line:
    """A connection that fails so many times."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.made = 0
        self.slept: list[float] = []
        self.answered: list[TelegramMethod[Any]] = []
        self.unauthorized = 0

    async def request(self, bot: Bot, method: TelegramMethod[Any]) -> Response[Any]:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return Response(ok=True, result="done")

    def call(self, method: TelegramMethod[Any]) -> Any:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        def count() -> None:
            self.unauthorized += 1

        persistent = Persistent(self.answered.append, count, sleep)
        bot = Bot("123456:AAbb")
        return asyncio.run(persistent(self.request, bot, method)).result


TEMPORARY = [
    TelegramNetworkError(SEND, "ServerDisconnectedError"),
    TelegramServerError(SEND, "Bad Gateway"),
    ClientDecodeError("Failed to decode object", ValueError("no JSON"), "<html>"),
]


@pytest.mark.parametrize("error", TEMPORARY, ids=lambda error: type(error).__name__)
def test_a_failure_that_may_pass_is_tried_again_with_growing_pauses_and_not_for_ever(error: Exception) -> None:
    line = Line(error, error)
    assert line.call(SEND) == "done"
    assert (line.made, line.slept, line.answered) == (3, [0.5, 1.0], [SEND])
    line = Line(*[error] * 9)
    with pytest.raises(type(error)):
        line.call(SEND)
    assert (line.made, line.slept, line.answered) == (5, [0.5, 1.0, 2.0, 4.0], [])


def test_where_telegram_asks_to_wait_it_is_waited_as_long_but_not_for_ever() -> None:
    line = Line(TelegramRetryAfter(SEND, "Too Many Requests", 3), TelegramRetryAfter(SEND, "Too Many Requests", 7))
    assert line.call(SEND) == "done"
    assert line.slept == [3.0, 7.0]
    line = Line(TelegramRetryAfter(SEND, "Too Many Requests", 4000))
    with pytest.raises(TelegramRetryAfter):
        line.call(SEND)
    assert line.slept == []


@pytest.mark.parametrize(
    ("method", "error"),
    [
        (SEND, TelegramBadRequest(SEND, "chat not found")),
        (SEND, TelegramEntityTooLarge(SEND, "Request Entity Too Large")),
        (GetUpdates(), TelegramNetworkError(SEND, "ServerDisconnectedError")),
        (ACTION, TelegramNetworkError(SEND, "ServerDisconnectedError")),
        (ACTION, TelegramRetryAfter(SEND, "Too Many Requests", 1)),
        (SEND, RuntimeError("no failure of the network")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_fail_again_or_is_called_again_anyway_is_tried_once(
    method: TelegramMethod[Any], error: Exception
) -> None:
    line = Line(error)
    with pytest.raises(type(error)):
        line.call(method)
    assert (line.made, line.slept, line.unauthorized) == (1, [], 0)


def test_a_token_that_is_not_known_is_noticed() -> None:
    line = Line(TelegramUnauthorizedError(GetMe(), "Unauthorized"))
    with pytest.raises(TelegramUnauthorizedError):
        line.call(GetMe())
    assert (line.made, line.unauthorized) == (1, 1)


def test_updates_wait_as_long_as_telegram_asks() -> None:
    line = Line(TelegramRetryAfter(GetUpdates(), "Too Many Requests", 5))
    assert line.call(GetUpdates()) == "done"
    assert line.slept == [5.0]
