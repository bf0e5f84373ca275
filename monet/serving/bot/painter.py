"""What is done for a message: its files are fetched, painted, sent back and deleted."""

from __future__ import annotations

import asyncio
import functools
import logging
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from aiogram import Bot
from aiogram.enums import ChatAction
from aiogram.exceptions import AiogramError, TelegramForbiddenError

from monet.errors import MonetError, first_line
from monet.serving.bot.choices import Choices
from monet.serving.bot.incoming import Item
from monet.serving.bot.receiving import receive
from monet.serving.bot.sending import Painting, say, send, shown_as_working
from monet.serving.bot.styles import Styles
from monet.serving.bot.texts import Declined, Words
from monet.serving.bot.work import Job
from monet.serving.limits import Limits, Refused
from monet.serving.models import Models
from monet.serving.paint import Order, paint_picture, paint_video

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Painter:
    """Answers messages with paintings."""

    bot: Bot
    models: Models
    styles: Styles
    choices: Choices
    limits: Limits
    executor: Executor
    """Of one thread: where paintings are made."""

    async def answer(self, job: Job) -> None:
        """Paints what was sent, sends it back, and says what could not be painted.

        Raises:
            AiogramError: Telegram does not take an answer.
        """
        moving = any(item.is_video for item in job.items)
        action = ChatAction.UPLOAD_VIDEO if moving else ChatAction.UPLOAD_PHOTO
        try:
            async with shown_as_working(self.bot, job.chat, action):
                parts = await self._paint_and_send(job)
        except TelegramForbiddenError:
            _log.info("somebody who sent a picture has blocked the bot")
            return
        except AiogramError as error:
            _log.error("paintings could not be sent: %s", first_line(error), exc_info=error)
            parts = [Declined("failed")]
        if text := refusals(job.words, parts):
            await say(self.bot, job.chat, text, reply_to=job.reply_to)

    async def excuse(self, job: Job) -> None:
        """Says that a job is not done, because the bot stops.

        Raises:
            AiogramError: Telegram does not take it.
        """
        await say(self.bot, job.chat, job.words("stopped"), reply_to=job.reply_to)

    async def _paint_and_send(self, job: Job) -> Sequence[Painting | MonetError]:
        with tempfile.TemporaryDirectory(prefix="monet-bot-", ignore_cleanup_errors=True) as folder:
            parts = [await self._result(job, part, Path(folder) / str(n)) for n, part in enumerate(job.parts)]
            if paintings := [part for part in parts if isinstance(part, Painting)]:
                await send(self.bot, job.chat, job.reply_to, paintings)
        return parts

    async def _result(self, job: Job, part: Item | MonetError, folder: Path) -> Painting | MonetError:
        if isinstance(part, MonetError):
            return part
        folder.mkdir()
        try:
            return await self._painting(job.chat, part, folder)
        except (Refused, Declined) as refused:
            return refused
        except Exception as error:  # noqa: BLE001
            _log.error("a painting failed: %s: %s", type(error).__name__, first_line(error), exc_info=error)
            return Declined("failed")

    async def _painting(self, user: int, item: Item, folder: Path) -> Painting:
        """Paints an item.

        Raises:
            Refused: it is no picture or video, or too large.
            Declined: it cannot be fetched or sent, or there is no model.
            MonetError: painting failed.
        """
        source = folder / f"source{PurePath(item.name).suffix}"
        target = folder / f"painting{PurePath(item.painting).suffix}"
        await receive(self.bot, item, source, self.limits)
        choice = self.choices.of(user)
        style = await self._in_thread(lambda: self.styles.of(choice))
        order = Order(model=style.model, direction=style.direction, strength=choice.strength / 100)
        paint: Callable[..., object] = paint_video if item.is_video else paint_picture
        await self._in_thread(functools.partial(paint, self.models, source, target, order, self.limits))
        source.unlink()
        painting = Painting(item, target)
        painting.require_sendable()
        return painting

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)


def refusals(words: Words, parts: Sequence[object]) -> str | None:
    """Returns what is said of parts that are errors: the reason, in an album with the number of each part. None where
    there is nothing to say."""
    reasons = [(number, words.reason(part)) for number, part in enumerate(parts, 1) if isinstance(part, MonetError)]
    if not reasons:
        return None
    if len(parts) == 1:
        return reasons[0][1]
    return "\n".join([words("parts"), *(f"{number}. {reason}" for number, reason in reasons)])
