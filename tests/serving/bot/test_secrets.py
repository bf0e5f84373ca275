"""A token is in nothing that is written, whatever holds it."""

from __future__ import annotations

import io
import logging
import sys
from urllib.parse import quote

import pytest

from monet.errors import InputError, MonetError
from monet.serving.bot.secrets import Secrets, checked_token, id_of

TOKEN = "123456:AAbb-cc_dd0123456789012345678901234"
HALF = TOKEN.partition(":")[2]
SECRETS = Secrets(token=TOKEN, secret="of:the webhook")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"http://host/bot{TOKEN}/getMe", "http://host/bot<token>/getMe"),
        (f"url=http%3A%2F%2Fhost%2Fbot{quote(TOKEN, safe='')}%2FgetMe", "url=http%3A%2F%2Fhost%2Fbot<token>%2FgetMe"),
        (TOKEN.replace(":", "%3a"), "<token>"),
        (f"'{HALF}'", "'<token>'"),
        (f"{TOKEN}{TOKEN}", "<token><token>"),
        (f"{quote('of:the webhook')} of:the webhook", "<secret> <secret>"),
        ("123456: nothing to hide", "123456: nothing to hide"),
    ],
)
def test_every_form_of_a_secret_is_hidden(text: str, hidden: str) -> None:
    assert SECRETS.hide(text) == hidden


def test_no_secret_hides_nothing() -> None:
    assert Secrets(token=TOKEN, secret="").hide("plain") == "plain"


def guarded(*, tracebacks: bool) -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    SECRETS.guard(handler, tracebacks=tracebacks)
    logger = logging.Logger("guarded")
    logger.addHandler(handler)
    return logger, stream


def failed() -> Exception:
    """An error whose message, and whose cause's, has the token."""
    try:
        try:
            raise ConnectionError(f"http://host/bot{TOKEN}/getMe")
        except ConnectionError as cause:
            raise RuntimeError(f"{HALF} failed\nfor two reasons") from cause
    except RuntimeError as error:
        return error


def test_a_log_has_one_line_a_record_and_no_secret_in_it() -> None:
    logger, stream = guarded(tracebacks=False)
    logger.error("cannot reach %s: %s", f"bot{TOKEN}", failed(), exc_info=failed())
    assert stream.getvalue() == "ERROR cannot reach bot<token>: <token> failed for two reasons\n"


def test_a_traceback_in_a_log_has_no_secret_in_it() -> None:
    logger, stream = guarded(tracebacks=True)
    logger.error("failed", exc_info=failed(), stack_info=True)
    text = stream.getvalue()
    assert text.count("Traceback (most recent call last)") == 2
    assert "ConnectionError: http://host/bot<token>/getMe" in text
    assert HALF not in text


def test_a_record_that_another_handler_formatted_has_no_secret_in_it_either() -> None:
    logger, stream = guarded(tracebacks=True)
    logger.handlers.insert(0, logging.StreamHandler(io.StringIO()))  # leaves the traceback in the record
    logger.error("failed", exc_info=failed())
    assert "ConnectionError" in stream.getvalue()
    assert HALF not in stream.getvalue()


def test_an_error_with_a_secret_in_its_traceback_comes_out_as_another_one() -> None:
    with pytest.raises(MonetError) as told:
        with SECRETS.kept():
            raise failed()
    assert str(told.value) == "RuntimeError: <token> failed"
    assert told.value.exit_code == 1
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


def test_an_error_of_ours_keeps_its_exit_code() -> None:
    with pytest.raises(MonetError) as told:
        with SECRETS.kept():
            raise InputError(f"bad: {TOKEN}")
    assert (str(told.value), told.value.exit_code) == ("bad: <token>", 2)


def test_an_error_without_a_secret_comes_out_as_it_is() -> None:
    error = InputError("bad")
    with pytest.raises(InputError) as told:
        with SECRETS.kept():
            raise error
    assert told.value is error
    assert sys.exc_info() == (None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "123456",
        "123456:",
        "12:AAbb-cc_dd0123456789",
        f"{TOKEN} x",
        f"x{TOKEN}",
        "1234567:short",
        f"{TOKEN}/",
    ],
)
def test_what_is_no_token_is_bad_input_and_is_not_shown(text: str) -> None:
    with pytest.raises(InputError) as told:
        checked_token(text, "BOT_TOKEN")
    assert str(told.value).startswith("BOT_TOKEN holds no token of a bot (it is not shown): @BotFather")
    assert len(text) < 10 or text not in str(told.value)
    assert HALF not in str(told.value)


def test_a_token_is_taken_without_the_space_around_it() -> None:
    assert checked_token(f" {TOKEN}\r\n", "file") == TOKEN
    assert id_of(TOKEN) == 123456
