"""What people send: taken into the queue, or answered with what can be sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aiogram import Bot, Dispatcher
from aiogram.types import Message

from monet.errors import MonetError, first_line
from monet.serving.bot.albums import Albums
from monet.serving.bot.incoming import Item, item_of
from monet.serving.bot.painter import refusals
from monet.serving.bot.sending import say
from monet.serving.bot.texts import Declined, Texts
from monet.serving.bot.work import Job, Worker
from monet.serving.limits import Limits, Refused

_log = logging.getLogger(__name__)


class Reception:
    """Takes messages that are no commands.

    Args:
        bot: who answers.
        texts: what it says.
        worker: paints.
        limits: of what is painted; what is larger by Telegram's own account is not fetched.
    """

    def __init__(self, bot: Bot, texts: Texts, worker: Worker, limits: Limits) -> None:
        self._bot = bot
        self._texts = texts
        self._worker = worker
        self._limits = limits
        self.albums = Albums(self._take_album)
        """Those of which more messages may come."""

    def register(self, dispatcher: Dispatcher) -> None:
        """Lets a dispatcher hand it messages; after those that take commands."""
        dispatcher.message.register(self.receive)

    async def receive(self, message: Message) -> None:
        """Takes a message, or keeps it until its album is whole."""
        if message.media_group_id:
            self.albums.add(message, message.media_group_id)
        else:
            await self.take([message])

    async def take(self, messages: Sequence[Message]) -> None:
        """Takes one message, or those of an album, into the queue; says where that is, unless it is the front.

        Raises:
            AiogramError: Telegram does not take what is said.
        """
        first = messages[0]
        words = self._texts.of(first.from_user.language_code if first.from_user else None)
        parts = tuple(self._part(message) for message in messages)
        job = Job(chat=first.chat.id, reply_to=first.message_id, words=words, parts=parts)
        text = refusals(words, parts)
        if job.items:
            try:
                place = self._worker.add(job)
            except Declined as declined:
                text = words.reason(declined)
            else:
                text = words("waiting", place=place) if place else None
        if text:
            await say(self._bot, first.chat.id, text, reply_to=first.message_id)

    def _part(self, message: Message) -> Item | MonetError:
        item = item_of(message)
        if item is None:
            return Declined("other")
        try:
            item.require(self._limits)
        except Refused as refused:
            return refused
        return item

    async def _take_album(self, messages: Sequence[Message]) -> None:
        try:
            await self.take(messages)
        except Exception as error:  # noqa: BLE001
            _log.error("an album could not be taken: %s: %s", type(error).__name__, first_line(error), exc_info=error)
