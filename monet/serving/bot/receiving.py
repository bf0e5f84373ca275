"""Fetching a file that was sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramBadRequest
from aiohttp import ClientError, ClientResponseError

from monet.serving.bot.incoming import Item
from monet.serving.bot.texts import Declined
from monet.serving.limits import MEBI, Limits, Refused

_PAUSES = (0.5, 2.0)
"""Seconds between tries."""
_SECONDS = 120
"""That a file may take."""
_TELEGRAMS_LIMIT = 20
"""MB that Telegram's own server hands out, whatever is allowed here."""

_log = logging.getLogger(__name__)


async def receive(bot: Bot, item: Item, path: Path, limits: Limits) -> None:
    """Fetches a file; one that is larger than allowed, or than it said, no further than that.

    Args:
        bot: who it was sent to.
        item: what was sent.
        path: where it goes.
        limits: of its size.

    Raises:
        Refused: it is too large.
        Declined: it cannot be fetched.
    """
    for pause in (*_PAUSES, None):
        try:
            return await _fetch(bot, item, path, limits)
        except (ClientError, asyncio.TimeoutError, AiogramError) as error:
            # Of the error the kind alone: its message has the file's address, and the token with it.
            status = f" {error.status}" if isinstance(error, ClientResponseError) else ""
            _log.warning("a file could not be fetched: %s%s", type(error).__name__, status)
            if pause is None or isinstance(error, AiogramError):  # which has been tried again already
                break
        await asyncio.sleep(pause)
    raise Declined("not received")


async def _fetch(bot: Bot, item: Item, path: Path, limits: Limits) -> None:
    try:
        file = await bot.get_file(item.file_id)
    except TelegramBadRequest as error:
        if "too big" not in error.message:
            raise
        has = "?" if item.size is None else f"{item.size / MEBI:.1f}"
        raise Refused("large file", "Telegram hands out no such file", has=has, most=_TELEGRAMS_LIMIT) from error
    if file.file_size is not None:
        limits.require_file(file.file_size)
    if file.file_path is None:
        raise Declined("not received")
    address = bot.session.api.file_url(bot.token, file.file_path)
    received = 0
    stream = bot.session.stream_content(address, timeout=_SECONDS)
    async with contextlib.aclosing(stream) as chunks:
        with open(path, "wb") as target:
            async for chunk in chunks:
                received += len(chunk)
                limits.require_file(received)
                target.write(chunk)
