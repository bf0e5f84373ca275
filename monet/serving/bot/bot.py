"""The bot, put together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiogram import Bot, Dispatcher, F
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.enums import ChatType
from aiogram.exceptions import AiogramError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.types import ErrorEvent

from monet.clock import Clock
from monet.errors import InputError, MonetError, first_line
from monet.serving.bot.arrivals import Arrivals
from monet.serving.bot.choices import Choices
from monet.serving.bot.commands import Commands, menu
from monet.serving.bot.health import Health
from monet.serving.bot.painter import Painter
from monet.serving.bot.persistence import Persistent
from monet.serving.bot.reception import Reception
from monet.serving.bot.secrets import Secrets
from monet.serving.bot.styles import Styles
from monet.serving.bot.texts import DEFAULT, Texts
from monet.serving.bot.turns import HourlyLimit, Turns
from monet.serving.bot.updates import Webhook, asked_for, called, require_address
from monet.serving.bot.work import Worker
from monet.serving.limits import Limits
from monet.serving.models import Models

_TIMEOUT = 30.0
"""Seconds for a request, where it says nothing else."""
_LOOK = 0.2
"""Seconds between looks at whether the bot is to stop."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BotSettings:
    """How the bot is run."""

    token: str = field(repr=False)
    """From @BotFather."""
    limits: Limits = field(default_factory=Limits)
    """Of what is painted."""
    per_hour: int = 30
    """Pictures and videos of one person in an hour."""
    waiting: int = 3
    """Messages, or albums, of one person that may wait."""
    server: str | None = None
    """Address of a Bot API server; null for Telegram's own."""
    webhook: Webhook | None = None
    """Where Telegram calls the bot; null where it asks for updates."""
    health_file: Path | None = None
    """Touched while Telegram answers."""

    def __post_init__(self) -> None:
        for name in ("per_hour", "waiting"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')} is {getattr(self, name)}: give at least 1")
        if self.server is not None:
            require_address(self.server, "the Bot API server", "http://127.0.0.1:8081")


class _Service:
    """A bot that answers."""

    def __init__(
        self, settings: BotSettings, bot: Bot, models: Models, choices: Choices, executor: Executor, clock: Clock
    ) -> None:
        limits, styles = settings.limits, Styles(models)
        painter = Painter(bot=bot, models=models, styles=styles, choices=choices, limits=limits, executor=executor)
        self._bot = bot
        self._webhook = settings.webhook
        self._texts = Texts()
        self._arrivals = Arrivals()
        hourly = HourlyLimit(settings.per_hour, clock)
        self._worker = Worker(Turns(settings.waiting), hourly, painter.answer, painter.excuse)
        self._reception = Reception(bot, self._texts, self._worker, limits)
        self._dispatcher = Dispatcher(disable_fsm=True)
        self._dispatcher.update.outer_middleware(self._arrivals)
        self._dispatcher.message.filter(F.chat.type == ChatType.PRIVATE)
        self._dispatcher.callback_query.filter(F.message.chat.type == ChatType.PRIVATE)
        self._dispatcher.errors.register(_log_failure)
        Commands(bot, self._texts, choices, styles, _shown_limits(settings)).register(self._dispatcher)
        self._reception.register(self._dispatcher)

    async def run(self, stop_requested: Callable[[], bool]) -> None:
        """Answers until it is asked to stop; then finishes what is at work, and tells those who wait.

        Raises:
            InputError: the webhook cannot be used.
            AiogramError: Telegram does not answer at the start.
        """
        await self._show_menu()
        working = asyncio.create_task(self._worker.run())
        try:
            async with self._updates() as listening:
                while not (stop_requested() or listening.done()):
                    await asyncio.sleep(_LOOK)
        finally:
            self._worker.stop()
            await self._reception.albums.flush()
            await working
            await self._arrivals.finish()

    def _updates(self) -> contextlib.AbstractAsyncContextManager[asyncio.Task[None]]:
        if self._webhook is None:
            return asked_for(self._bot, self._dispatcher, self._arrivals)
        return called(self._bot, self._dispatcher, self._webhook)

    async def _show_menu(self) -> None:
        """Lists the commands in Telegram's menu, in each language."""
        for language, words in self._texts.languages.items():
            code = None if language == DEFAULT else language
            try:
                await self._bot.set_my_commands(menu(words), language_code=code)
            except AiogramError as error:
                _log.warning("Telegram does not take the menu: %s", first_line(error))
                return


async def serve(
    settings: BotSettings, models: Models, choices: Choices, stop_requested: Callable[[], bool], clock: Clock
) -> None:
    """Answers people until it is asked to stop; then finishes what is at work, and tells those who wait.

    Args:
        settings: how.
        models: what is offered.
        choices: what people have chosen.
        stop_requested: tells when to stop.
        clock: in seconds, for the hourly limit.

    Raises:
        InputError: Telegram does not know the token, or a webhook or a file cannot be used.
        MonetError: Telegram cannot be reached at the start.
    """
    unauthorized = asyncio.Event()
    server = PRODUCTION if settings.server is None else TelegramAPIServer.from_base(settings.server)
    session = AiohttpSession(api=server, timeout=_TIMEOUT)
    session.middleware.register(Persistent(Health(settings.health_file).answered, unauthorized.set))
    bot = Bot(settings.token, session=session)
    try:
        with _failures_told(settings, stop_requested), ThreadPoolExecutor(1, "painting") as executor:
            name = getattr(await bot.me(), "username", None)  # a server may answer with nothing at all
            if name is None:
                raise AiogramError("it answers with no bot")
            _log.info("@%s listens; Ctrl-C stops it", name)
            service = _Service(settings, bot, models, choices, executor, clock)
            await service.run(lambda: stop_requested() or unauthorized.is_set())
    finally:
        await session.close()
    if unauthorized.is_set():
        raise _unknown_token()


@contextlib.contextmanager
def _failures_told(settings: BotSettings, stop_requested: Callable[[], bool]) -> Iterator[None]:
    """Tells errors of Telegram and of the way there in our words; none where the bot is to stop anyway.

    Raises:
        InputError: the token is not known.
        MonetError: any other.
    """
    try:
        yield
    except (TelegramUnauthorizedError, TelegramNotFound):
        raise _unknown_token() from None
    except (AiogramError, UnicodeDecodeError) as error:  # aiogram passes on what is no text
        if stop_requested():
            _log.warning("Telegram was away at the end: %s", type(error).__name__)
            return
        where = urlsplit(settings.server or PRODUCTION.base).hostname
        reason = Secrets(token=settings.token).hide(first_line(error))
        advice = "check the connection, and start again"
        raise MonetError(f"Telegram does not answer at {where} ({reason}): {advice}") from None


def _unknown_token() -> InputError:
    return InputError("Telegram does not know this token, or no longer: ask @BotFather for another one, with /token")


def _shown_limits(settings: BotSettings) -> dict[str, object]:
    """Returns the values of the text `help`."""
    limits = settings.limits
    return {
        "megabytes": f"{limits.megabytes:g}",
        "megapixels": f"{limits.megapixels:g}",
        "seconds": f"{limits.clip:g}",
        "hourly": settings.per_hour,
        "waiting": settings.waiting,
    }


async def _log_failure(event: ErrorEvent) -> bool:
    error = event.exception
    _log.error("an update was not handled: %s: %s", type(error).__name__, first_line(error), exc_info=error)
    return True
