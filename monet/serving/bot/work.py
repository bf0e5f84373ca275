"""The work itself: one job after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from monet.errors import MonetError, first_line
from monet.serving.bot.incoming import Item
from monet.serving.bot.texts import Declined, Words
from monet.serving.bot.turns import HourlyLimit, Turns

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A message, or an album, that is to be answered with paintings."""

    chat: int
    """Of one person."""
    reply_to: int
    """The message; the first one of an album."""
    words: Words
    """In that person's language."""
    parts: tuple[Item | MonetError, ...]
    """What was sent, or why it is not painted; one, or those of the album in their order."""

    @property
    def items(self) -> list[Item]:
        """What is to be painted."""
        return [part for part in self.parts if isinstance(part, Item)]


class Worker:
    """Does jobs one at a time, as each takes much memory.

    Args:
        turns: decides whose is next.
        hourly: how much each person may send.
        do: does a job.
        excuse: tells somebody that a job is not done, because the bot stops.
    """

    def __init__(
        self,
        turns: Turns[Job],
        hourly: HourlyLimit,
        do: Callable[[Job], Awaitable[None]],
        excuse: Callable[[Job], Awaitable[None]],
    ) -> None:
        self._turns = turns
        self._hourly = hourly
        self._do = do
        self._excuse = excuse
        self._stopping = False
        self._wake = asyncio.Event()

    def add(self, job: Job) -> int:
        """Takes a job into the queue.

        Returns:
            How many come before it.

        Raises:
            Declined: too many of this person's wait, or came within the hour, or the bot stops.
        """
        if self._stopping:
            raise Declined("stopped")
        self._turns.require_room(job.chat)
        self._hourly.take(job.chat, len(job.items))
        place = self._turns.enter(job.chat, job)
        self._wake.set()
        return place

    def stop(self) -> None:
        """Lets it end after the job that is at work."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Works until it is stopped; then tells those who wait."""
        while not self._stopping:
            job = self._turns.next()
            if job is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            await _logged(self._do(job))
            self._turns.done()
        await asyncio.gather(*(_logged(self._excuse(job)) for job in self._turns.clear()))


async def _logged(work: Awaitable[None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001
        _log.error("a job failed: %s: %s", type(error).__name__, first_line(error), exc_info=error)
