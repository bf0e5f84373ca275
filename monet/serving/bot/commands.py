"""Commands, and the buttons with which people choose."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import Callable, Sequence

from aiogram import Bot, Dispatcher, F
from aiogram.exceptions import TelegramBadRequest
from aiogram.filters import Command, CommandObject
from aiogram.types import BotCommand, CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from monet.serving.bot.choices import Choices
from monet.serving.bot.sending import say
from monet.serving.bot.styles import Style, Styles
from monet.serving.bot.texts import Declined, Texts, Words

_STYLE, _STRENGTH = "style:", "strength:"
"""How the data of buttons begins."""
_STRENGTHS = (25, 50, 75, 100)
"""Percent, on buttons."""
_PERCENT = re.compile(r"([0-9]{1,3})\s*%?")


class Commands:
    """Answers commands and buttons.

    Args:
        bot: who answers.
        texts: what it says.
        choices: what people have chosen.
        styles: what there is to choose.
        limits: values of the text `help`, by name.
    """

    def __init__(self, bot: Bot, texts: Texts, choices: Choices, styles: Styles, limits: dict[str, object]) -> None:
        self._bot = bot
        self._texts = texts
        self._choices = choices
        self._styles = styles
        self._limits = limits

    def register(self, dispatcher: Dispatcher) -> None:
        """Lets a dispatcher hand it commands and buttons."""
        handlers: dict[str, Callable[..., object]] = {
            "start": self.start,
            "help": self.help,
            "style": self.style,
            "strength": self.strength,
        }
        for name, handler in handlers.items():
            dispatcher.message.register(handler, F.text, Command(name))  # and no caption
        dispatcher.callback_query.register(self.choose_strength, F.data.startswith(_STRENGTH))
        dispatcher.callback_query.register(self.choose_style)  # and whatever an earlier version's buttons send

    async def start(self, message: Message) -> None:
        """Says what the bot does."""
        await self._say(message, self._words(message)("start"))

    async def help(self, message: Message) -> None:
        """Says what can be sent, and the limits."""
        await self._say(message, self._words(message)("help", **self._limits))

    async def style(self, message: Message) -> None:
        """Shows the styles."""
        words = self._words(message)
        try:
            current, keyboard = await self._styles_for(message.chat.id)
        except Declined as declined:
            await self._say(message, words.reason(declined))
        else:
            await self._say(message, words("style", style=current.label), keyboard)

    async def strength(self, message: Message, command: CommandObject) -> None:
        """Sets the strength, or shows buttons for it."""
        words, user = self._words(message), message.chat.id
        if not command.args:
            now = self._choices.of(user).strength
            await self._say(message, words("strength", strength=now), _strength_keyboard(now))
        elif (chosen := _percent(command.args)) is None:
            await self._say(message, words("strength wrong"))
        else:
            await asyncio.to_thread(self._choices.change, user, strength=chosen)
            await self._say(message, words("strength chosen", strength=chosen))

    async def choose_style(self, query: CallbackQuery) -> None:
        """Takes a button of a style; where it is no longer offered, shows those that are."""
        words, user = self._texts.of(query.from_user.language_code), query.from_user.id
        key = (query.data or "").removeprefix(_STYLE)
        offered = await asyncio.to_thread(self._styles.offered)
        chosen = next((style for style in offered if style.key == key), None)
        if chosen is not None:
            await asyncio.to_thread(self._choices.change, user, model=chosen.model, direction=chosen.direction)
        text = words("style gone") if chosen is None else words("style chosen", style=chosen.label)
        try:
            _, keyboard = await self._styles_for(user)
        except Declined as declined:
            await _confirm(query, words.reason(declined), None)
        else:
            await _confirm(query, text, keyboard)

    async def choose_strength(self, query: CallbackQuery) -> None:
        """Takes a button of a strength."""
        words, user = self._texts.of(query.from_user.language_code), query.from_user.id
        chosen = _percent((query.data or "").removeprefix(_STRENGTH))
        if chosen is None:
            await _confirm(query, words("strength wrong"), _strength_keyboard(self._choices.of(user).strength))
            return
        await asyncio.to_thread(self._choices.change, user, strength=chosen)
        await _confirm(query, words("strength chosen", strength=chosen), _strength_keyboard(chosen))

    async def _styles_for(self, user: int) -> tuple[Style, InlineKeyboardMarkup]:
        """Returns the style that somebody has, and buttons for all.

        Raises:
            Declined: there is none.
        """
        choice = self._choices.of(user)
        current = await asyncio.to_thread(self._styles.of, choice)
        return current, _style_keyboard(await asyncio.to_thread(self._styles.offered), current)

    def _words(self, message: Message) -> Words:
        return self._texts.of(message.from_user.language_code if message.from_user else None)

    async def _say(self, message: Message, text: str, keyboard: InlineKeyboardMarkup | None = None) -> None:
        await say(self._bot, message.chat.id, text, markup=keyboard)


def menu(words: Words) -> list[BotCommand]:
    """Returns the commands as Telegram lists them, in one language."""
    return [
        BotCommand(command="start", description=words("command start")),
        BotCommand(command="help", description=words("command help")),
        BotCommand(command="style", description=words("command style")),
        BotCommand(command="strength", description=words("command strength")),
    ]


def _style_keyboard(offered: Sequence[Style], current: Style) -> InlineKeyboardMarkup:
    rows = itertools.groupby(offered, key=lambda style: style.model)
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [_button(style.label, f"{_STYLE}{style.key}", chosen=style == current) for style in styles]
            for _, styles in rows
        ]
    )


def _strength_keyboard(current: int) -> InlineKeyboardMarkup:
    row = [_button(f"{each} %", f"{_STRENGTH}{each}", chosen=each == current) for each in _STRENGTHS]
    return InlineKeyboardMarkup(inline_keyboard=[row])


def _button(label: str, data: str, *, chosen: bool) -> InlineKeyboardButton:
    return InlineKeyboardButton(text=f"✓ {label}" if chosen else label, callback_data=data)


def _percent(text: str) -> int | None:
    """Reads a whole number from 0 to 100; None for anything else."""
    found = _PERCENT.fullmatch(text.strip())
    return int(found[1]) if found and int(found[1]) <= 100 else None


async def _confirm(query: CallbackQuery, text: str, keyboard: InlineKeyboardMarkup | None) -> None:
    """Answers a button, and shows the state that it has led to below the message that it belongs to."""
    with contextlib.suppress(TelegramBadRequest):  # it was pressed too long ago to be answered
        await query.answer(text)
    if isinstance(query.message, Message):
        with contextlib.suppress(TelegramBadRequest):  # it says so already
            await query.message.edit_text(text, reply_markup=keyboard)
