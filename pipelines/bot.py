"""A Telegram bot that paints what it is sent: photos, pictures as files, albums and short videos."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monet.errors import InputError, Interrupted, MonetError
from monet.files import require_regular
from pipelines._command import command_parser, run_command
from pipelines._logging import LineFormatter
from pipelines._network import add_precision_option, add_weights_and_device_options
from pipelines._numbers import whole_number
from pipelines._processes import leave
from pipelines._serving import add_limit_options, add_model_options, limits_of, models_of
from pipelines._signals import SIGNALS

if TYPE_CHECKING:
    from monet.serving.bot.secrets import Secrets
    from monet.serving.bot.updates import Webhook

_VARIABLE = "BOT_TOKEN"
_MOST_BYTES = 4096
"""Of a file with a secret."""
_LIBRARIES = ("aiogram", "aiohttp", "asyncio")
"""Whose messages for debugging are of use."""


def main(arguments: Sequence[str]) -> int:
    """Runs the command until a signal ends it."""
    from monet.serving.bot.secrets import Secrets, without_tokens

    try:
        options = _parser().parse_args(arguments)
        token, secret = _secrets(options)
    except InputError as error:  # it names wrong words and files, and one of them may be a token
        raise InputError(without_tokens(str(error))) from None
    secrets = Secrets(token=token, secret=secret)
    _guard_logs(secrets, options.debug)
    with secrets.kept():
        _serve(options, token, secret)
    if SIGNALS.received is None:
        raise MonetError("the bot stopped by itself (unexpected: --debug shows more)")
    raise Interrupted(SIGNALS.received, "stopped; whoever still waited for a painting was told so")


def _secrets(options: argparse.Namespace) -> tuple[str, str]:
    """Returns the bot's token, and the webhook's secret.

    Raises:
        InputError: there is no token, it has another form, or a file cannot be read.
    """
    from monet.serving.bot.secrets import checked_token

    secret = _text_of(options.webhook_secret_file) if options.webhook_secret_file else ""
    if options.token_file is not None:
        token = checked_token(_text_of(options.token_file), str(options.token_file))
    elif given := os.environ.get(_VARIABLE):
        token = checked_token(given, _VARIABLE)
    else:
        raise InputError(
            f"no token: set {_VARIABLE} in the environment, or give --token-file; @BotFather in Telegram makes a bot "
            "and gives its token, with /newbot"
        )
    return token, secret


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("bot", __doc__ or "")
    add_model_options(parser)
    parser.add_argument(
        "--token-file", type=Path, metavar="F", help=f"a file with the token (default: {_VARIABLE} in the environment)"
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="F",
        help="where people's choices are kept (default: bot-ID.json in monet's folder among the user's data)",
    )
    add_limit_options(parser)
    for name, default, what in (
        ("--per-hour", 30, "pictures and videos of one person in an hour"),
        ("--waiting", 3, "messages or albums of one person that may wait"),
    ):
        parser.add_argument(
            name, type=whole_number, default=default, metavar="N", help=f"{what}, at most (default: %(default)s)"
        )
    parser.add_argument(
        "--api-server", metavar="URL", help="a Bot API server of your own (default: https://api.telegram.org)"
    )
    parser.add_argument(
        "--webhook", metavar="URL", help="where Telegram calls the bot, by way of a proxy (default: the bot asks)"
    )
    parser.add_argument(
        "--webhook-host", default="127.0.0.1", metavar="H", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--webhook-port", type=whole_number, default=8080, metavar="N", help="port to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--webhook-secret-file",
        type=Path,
        metavar="F",
        help="what Telegram proves itself with, A-Z, a-z, 0-9, _ and - (default: a new one at each start)",
    )
    parser.add_argument(
        "--health-file", type=Path, metavar="F", help="touched at least every 30 s while Telegram answers"
    )
    add_weights_and_device_options(parser)
    add_precision_option(parser)
    return parser


def _serve(options: argparse.Namespace, token: str, secret: str) -> None:
    """Answers people until a signal comes.

    Raises:
        InputError: an option, a model, a file or the token cannot be used.
        MonetError: Telegram cannot be reached, or aiogram is not installed.
    """
    try:
        from monet.serving.bot.bot import BotSettings, serve
    except ImportError as error:
        raise MonetError(f"the bot needs aiogram ({error}): pip install 'aiogram>=3.31'") from error
    from monet.serving.bot.choices import Choices

    settings = BotSettings(
        token=token,
        limits=limits_of(options),
        per_hour=options.per_hour,
        waiting=options.waiting,
        server=options.api_server,
        webhook=_webhook(options, secret),
        health_file=options.health_file,
    )
    choices = Choices(options.state or _default_state(token))
    models = models_of(options)
    with SIGNALS.deferred() as stop_requested:
        asyncio.run(serve(settings, models, choices, stop_requested, time.monotonic))


def _webhook(options: argparse.Namespace, secret: str) -> Webhook | None:
    from monet.serving.bot.updates import Webhook

    if options.webhook is None:
        return None
    place = {"url": options.webhook, "host": options.webhook_host, "port": options.webhook_port}
    return Webhook(**place, secret=secret) if secret else Webhook(**place)


def _default_state(token: str) -> Path:
    import platformdirs

    from monet.serving.bot.secrets import id_of

    return platformdirs.user_data_path("monet") / f"bot-{id_of(token)}.json"


def _text_of(path: Path) -> str:
    """Returns what a file with a secret holds.

    Raises:
        InputError: it is empty, or cannot be a file with a secret.
    """
    require_regular(path)
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    text = content.decode(errors="replace").strip()
    if not text or len(content) > _MOST_BYTES:
        raise InputError(f"{path} holds no secret: it is {'too large' if text else 'empty'}")
    return text


def _guard_logs(secrets: Secrets, debug: bool) -> None:
    """Lets no log tell a secret, and writes what other libraries log as lines on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in _LIBRARIES if debug else ():
        logging.getLogger(name).setLevel(logging.DEBUG)
    for each in (handler, *logging.getLogger("monet").handlers):
        secrets.guard(each, tracebacks=debug)
    logging.captureWarnings(True)


if __name__ == "__main__":
    leave(run_command(main))
