"""Sending texts and paintings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiogram import Bot
from aiogram.enums import ChatAction
from aiogram.exceptions import AiogramError
from aiogram.types import (
    FSInputFile,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    MediaUnion,
    ReplyParameters,
)

from monet.serving.bot.incoming import Item
from monet.serving.bot.texts import Declined
from monet.serving.limits import MEBI

_MOST = 50 * MEBI
"""Bytes of a file that a bot may send."""
_SECONDS = 300
"""That sending paintings may take."""
_AGAIN = 4.0
"""Seconds after which people are shown again that the bot works: Telegram shows it for five."""


@dataclass(frozen=True)
class Painting:
    """What becomes of an item."""

    item: Item
    path: Path
    """The file."""

    def require_sendable(self) -> None:
        """Checks the size of the file.

        Raises:
            Declined: it is larger than a bot may send.
        """
        if (size := self.path.stat().st_size) > _MOST:
            raise Declined("large painting", has=f"{size / MEBI:.0f}", most=_MOST // MEBI)

    @property
    def file(self) -> FSInputFile:
        """The file under its name."""
        return FSInputFile(self.path, self.item.painting)


async def say(
    bot: Bot, chat: int, text: str, *, reply_to: int | None = None, markup: InlineKeyboardMarkup | None = None
) -> None:
    """Sends a text.

    Args:
        bot: who says it.
        chat: whom to.
        text: plain; nothing in it is formatted.
        reply_to: the message that is answered.
        markup: buttons below it.

    Raises:
        AiogramError: Telegram does not take it.
    """
    reply = None if reply_to is None else _reply(reply_to)
    await bot.send_message(chat, text, reply_parameters=reply, reply_markup=markup)


async def send(bot: Bot, chat: int, reply_to: int, paintings: Sequence[Painting]) -> None:
    """Sends paintings as what they are of was sent; several as an album.

    Args:
        bot: who sends them.
        chat: whom to.
        reply_to: the message that is answered.
        paintings: at least one, in their order.

    Raises:
        AiogramError: Telegram does not take them.
    """
    if len(paintings) > 1:
        album = [_part(painting) for painting in paintings]
        await bot.send_media_group(chat, album, reply_parameters=_reply(reply_to), request_timeout=_SECONDS)
    else:
        await _send_one(bot, chat, paintings[0], _reply(reply_to))


@contextlib.asynccontextmanager
async def shown_as_working(bot: Bot, chat: int, action: ChatAction) -> AsyncIterator[None]:
    """While it is open, somebody is shown that the bot is at work."""
    task = asyncio.create_task(_show(bot, chat, action))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _show(bot: Bot, chat: int, action: ChatAction) -> None:
    while True:
        with contextlib.suppress(AiogramError):  # it is no more than a courtesy
            await bot.send_chat_action(chat, action)
        await asyncio.sleep(_AGAIN)


def _part(painting: Painting) -> MediaUnion:
    item = painting.item
    if item.kind == "photo":
        return InputMediaPhoto(media=painting.file)
    if item.kind == "video":
        return InputMediaVideo(media=painting.file, duration=item.seconds, width=item.width, height=item.height)
    return InputMediaDocument(media=painting.file, disable_content_type_detection=True)


async def _send_one(bot: Bot, chat: int, painting: Painting, reply: ReplyParameters) -> None:
    item, file = painting.item, painting.file
    common: dict[str, Any] = {"reply_parameters": reply, "request_timeout": _SECONDS}
    moving: dict[str, Any] = {"duration": item.seconds, "width": item.width, "height": item.height, **common}
    match item.kind:
        case "photo":
            await bot.send_photo(chat, file, **common)
        case "video":
            await bot.send_video(chat, file, **moving)
        case "animation":
            await bot.send_animation(chat, file, **moving)
        case "video note":
            await bot.send_video_note(chat, file, duration=item.seconds, length=item.width, **common)
        case "picture file" | "video file":  # where Telegram looked what it is, a picture would not stay a file
            await bot.send_document(chat, file, disable_content_type_detection=True, **common)


def _reply(message: int) -> ReplyParameters:
    return ReplyParameters(message_id=message, allow_sending_without_reply=True)
