"""Updates as they arrive: each is handled once, however often it comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.types import TelegramObject, Update

_REMEMBERED = 1000
"""Updates. Telegram repeats those that it thinks were not received, and hands out 100 at a time."""
_SECONDS = 20.0
"""That answers under way may take when the bot stops."""


class Arrivals(BaseMiddleware):
    """Lets each update through once, and knows which are being handled."""

    def __init__(self) -> None:
        self._seen: deque[int] = deque(maxlen=_REMEMBERED)
        self._handling: set[asyncio.Task[Any]] = set()

    @property
    def last(self) -> int | None:
        """The highest number of an update."""
        return max(self._seen, default=None)

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Handles an update, unless it was."""
        if not isinstance(event, Update) or event.update_id in self._seen:
            return None
        self._seen.append(event.update_id)
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            return await handler(event, data)
        finally:
            self._handling.discard(task)

    async def finish(self) -> None:
        """Waits until all that have arrived are handled, but not for long."""
        if self._handling:
            await asyncio.wait(self._handling, timeout=_SECONDS)
