"""Where updates come from: the bot asks for them, or Telegram calls it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiogram import Bot, Dispatcher
from aiogram.exceptions import AiogramError, TelegramBadRequest
from aiogram.methods import GetUpdates
from aiogram.utils.backoff import BackoffConfig
from aiogram.webhook.aiohttp_server import SimpleRequestHandler
from aiohttp import web

from monet.errors import InputError, shown
from monet.serving.bot.arrivals import Arrivals

_KINDS = ["message", "callback_query"]
"""Of updates; others are not sent."""
_LONG_POLL = 20
"""Seconds for which a request for updates waits for one."""
_BACKOFF = BackoffConfig(min_delay=0.5, max_delay=30.0, factor=2.0, jitter=0.1)
"""Pauses where Telegram cannot be asked."""
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_INTERVAL = 30.0
"""Seconds between questions whether Telegram is there, where it calls the bot."""


def require_address(text: str, what: str, example: str) -> None:
    """Checks an address of the web.

    Args:
        text: the address.
        what: what it is of, for the error.
        example: of one that is right.

    Raises:
        InputError: it is none.
    """
    try:
        parts = urlsplit(text)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port of six digits
        right = False
    if not right or set("{}") & set(text):  # braces are places to be filled, to aiogram and aiohttp
        raise InputError(f"the address of {what} is {shown(text)}: give one such as {example}")


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where Telegram calls the bot."""

    url: str
    """As Telegram sees it."""
    host: str
    """Address on which the bot listens."""
    port: int
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    """Sent with each call, so that nobody else can make one; a new one each time, unless it is given."""

    def __post_init__(self) -> None:
        require_address(self.url, "the webhook", "https://example.org/bot")
        if not 0 < self.port < 2**16:
            raise InputError(f"the webhook's port is {self.port}: give 1 to 65535")
        if not _SECRET.fullmatch(self.secret):
            raise InputError("the webhook's secret has other characters than A-Z, a-z, 0-9, _ and -, or more than 256")


@contextlib.asynccontextmanager
async def asked_for(bot: Bot, dispatcher: Dispatcher, arrivals: Arrivals) -> AsyncIterator[asyncio.Task[None]]:
    """While it is open, updates are asked for; then those that came are confirmed, so that none comes again.

    Args:
        bot: whose updates.
        dispatcher: gets them.
        arrivals: knows which came.

    Returns:
        What asks; it ends with an error alone.

    Raises:
        AiogramError: Telegram does not let the bot ask.
    """
    await bot.delete_webhook(drop_pending_updates=False)
    polling = asyncio.create_task(
        dispatcher.start_polling(
            bot,
            polling_timeout=_LONG_POLL,
            backoff_config=_BACKOFF,
            allowed_updates=_KINDS,
            handle_signals=False,
            close_bot_session=False,
        )
    )
    await asyncio.sleep(0)  # it has begun, and can be stopped
    try:
        yield polling
    finally:
        if not polling.done():
            await dispatcher.stop_polling()
        await polling
        if arrivals.last is not None:
            with contextlib.suppress(AiogramError):
                await bot(GetUpdates(offset=arrivals.last + 1, limit=1, timeout=0))


@contextlib.asynccontextmanager
async def called(bot: Bot, dispatcher: Dispatcher, webhook: Webhook) -> AsyncIterator[asyncio.Task[None]]:
    """While it is open, Telegram calls the bot. What comes when it is closed, Telegram sends later.

    Args:
        bot: whose updates.
        dispatcher: gets them.
        webhook: where.

    Returns:
        What asks now and then whether Telegram is there.

    Raises:
        InputError: the address cannot be listened on, or Telegram does not call the other.
        AiogramError: Telegram does not answer.
    """
    application = web.Application()
    handler = _Handler(dispatcher, bot, handle_in_background=True, secret_token=webhook.secret)
    application.router.add_post(urlsplit(webhook.url).path or "/", handler.handle)
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, webhook.host, webhook.port).start()
        await bot.set_webhook(webhook.url, secret_token=webhook.secret, allowed_updates=_KINDS)
        asking = asyncio.create_task(_ask_now_and_then(bot))
        try:
            yield asking
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
    except TelegramBadRequest as error:
        raise InputError(f"Telegram does not call {webhook.url}: {error.message}") from None
    except OSError as error:
        where, reason = f"{webhook.host}:{webhook.port}", error.strerror or error
        raise InputError(f"cannot listen on {where} ({reason}): give another address or port") from None
    finally:
        await runner.cleanup()


class _Handler(SimpleRequestHandler):
    def verify_secret(self, telegram_secret_token: str, bot: Bot) -> bool:  # noqa: ARG002
        """Compares bytes: a header may hold other characters than ASCII, with which texts cannot be compared."""
        given, own = telegram_secret_token.encode(errors="replace"), (self.secret_token or "").encode()
        return secrets.compare_digest(given, own)


async def _ask_now_and_then(bot: Bot) -> None:
    while True:
        await asyncio.sleep(_INTERVAL)
        with contextlib.suppress(AiogramError):
            await bot.get_me()
