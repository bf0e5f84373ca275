"""Requests to Telegram that are tried again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramEntityTooLarge,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import GetUpdates, Response, SendChatAction, TelegramMethod
from aiogram.methods.base import TelegramType

_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries."""
_LONGEST_PAUSE = 90.0
"""Seconds that Telegram may ask to wait for: all others in the queue wait as long."""
_TRIED_BY_OTHERS = (GetUpdates, SendChatAction)
"""Methods that are called again and again anyway, after a pause of their own."""

_log = logging.getLogger(__name__)


class Persistent(BaseRequestMiddleware):
    """Tries a request again where the connection or the server failed, or Telegram asks to wait; a few times.

    A message may arrive twice, where a connection broke before its answer had come: better than not at all.

    Args:
        on_answer: called with each method that was answered.
        on_unauthorized: called where Telegram does not know the token, or no longer.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        on_answer: Callable[[TelegramMethod[Any]], None],
        on_unauthorized: Callable[[], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._on_answer = on_answer
        self._on_unauthorized = on_unauthorized
        self._sleep = sleep

    async def __call__(
        self,
        make_request: NextRequestMiddlewareType[TelegramType],
        bot: Bot,
        method: TelegramMethod[TelegramType],
    ) -> Response[TelegramType]:
        """Makes a request.

        Raises:
            AiogramError: Telegram refuses it, or it failed each time.
        """
        for pause in (*_PAUSES, None):
            try:
                response = await make_request(bot, method)
            except TelegramUnauthorizedError:
                self._on_unauthorized()
                raise
            except Exception as error:
                wait = None if pause is None else _seconds_to_wait(error, method, pause)
                if wait is None:
                    raise
                _log.warning("%s: %s; again in %g s", method.__api_method__, type(error).__name__, wait)
            else:
                self._on_answer(method)
                return response
            await self._sleep(wait)
        raise AssertionError


def _seconds_to_wait(error: Exception, method: TelegramMethod[TelegramType], pause: float) -> float | None:
    """Returns how long to wait for another try; None where there is no use in one."""
    if isinstance(error, TelegramRetryAfter):
        courtesy = isinstance(method, SendChatAction)
        return None if courtesy or error.retry_after > _LONGEST_PAUSE else float(error.retry_after)
    if isinstance(method, _TRIED_BY_OTHERS) or isinstance(error, TelegramEntityTooLarge):
        return None
    # What a gateway says for itself, such as "502 Bad Gateway", is a page that cannot be decoded.
    temporary = isinstance(error, (TelegramNetworkError, TelegramServerError, ClientDecodeError))
    return pause if temporary else None
