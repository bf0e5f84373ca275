"""Albums: several messages, which come one by one and are answered as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from aiogram.types import Message

_QUIET = 1.0
"""Seconds without another message of an album after which it is whole: Telegram does not say how many it has."""


@dataclass
class _Album:
    messages: list[Message] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Albums:
    """Collects the messages of albums.

    Args:
        deliver: gets the messages of an album, in their order; it raises nothing.
        quiet: seconds without another message after which an album is whole.
    """

    def __init__(self, deliver: Callable[[Sequence[Message]], Awaitable[None]], quiet: float = _QUIET) -> None:
        self._deliver = deliver
        self._quiet = quiet
        self._open: dict[tuple[int, str], _Album] = {}
        self._delivering: set[asyncio.Future[None]] = set()

    def add(self, message: Message, group: str) -> None:
        """Takes a message of an album.

        Args:
            message: one of its messages.
            group: the album's id.
        """
        key = (message.chat.id, group)
        album = self._open.setdefault(key, _Album())
        album.messages.append(message)
        if album.timer is not None:
            album.timer.cancel()
        album.timer = asyncio.get_running_loop().call_later(self._quiet, self._close, key)

    async def flush(self) -> None:
        """Delivers what has been collected, at once, and waits until it is."""
        for key in list(self._open):
            self._close(key)
        await asyncio.gather(*self._delivering)

    def _close(self, key: tuple[int, str]) -> None:
        album = self._open.pop(key, None)
        if album is None:
            return
        if album.timer is not None:
            album.timer.cancel()
        messages = sorted(album.messages, key=lambda message: message.message_id)
        delivering = asyncio.ensure_future(self._deliver(messages))
        self._delivering.add(delivering)
        delivering.add_done_callback(self._delivering.discard)
