"""The bot's token, kept out of everything that is written: whoever has it is the bot."""

from __future__ import annotations

import contextlib
import copy
import logging
import re
import traceback
from collections.abc import Iterator
from urllib.parse import quote

from monet.errors import InputError, MonetError, first_line, shortened

_SHAPE = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{20,100}")
"""The bot's id and the secret, as @BotFather gives them."""
_LEAST_SECRET = 20
"""Characters of a part of a token that is a secret by itself."""
_LONGEST_LINE = 600
"""Characters of a line in the log."""

_log = logging.getLogger(__name__)


def checked_token(text: str, where: str) -> str:
    """Returns a token without the space around it.

    Args:
        text: what was given.
        where: where it was given, for the error.

    Raises:
        InputError: it is none. The message does not hold it: most of it may be right.
    """
    token = text.strip()
    if not _SHAPE.fullmatch(token):
        raise InputError(
            f"{where} holds no token of a bot (it is not shown): @BotFather gives one, such as 123456:ABC…"
        )
    return token


def without_tokens(text: str) -> str:
    """Returns a text in which nothing has the form of a token."""
    return _SHAPE.sub("<token>", text)


def id_of(token: str) -> int:
    """Returns the id of a token's bot, which everybody may know."""
    return int(token.partition(":")[0])


class Secrets:
    """Texts that nothing may tell.

    Args:
        values: each by the word that takes its place, in angle brackets.
    """

    def __init__(self, **values: str) -> None:
        self._patterns = [(re.compile("|".join(_forms(value))), f"<{name}>") for name, value in values.items() if value]

    def hide(self, text: str) -> str:
        """Returns a text without them."""
        for pattern, name in self._patterns:
            text = pattern.sub(name, text)
        return text

    def guard(self, handler: logging.Handler, *, tracebacks: bool) -> None:
        """Lets a handler of a log write no secret, and one line a record, but for tracebacks.

        Args:
            handler: with its formatter.
            tracebacks: write those that records have, too.
        """
        handler.setFormatter(_SafeFormatter(handler.formatter or logging.Formatter(), self, tracebacks))

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Lets no error out whose message, or traceback, tells a secret: another one, of the same exit code, comes
        instead.

        Raises:
            MonetError: instead of such an error.
        """
        try:
            yield
        except Exception as error:
            whole = "".join(traceback.format_exception(error))
            if self.hide(whole) == whole:
                raise
            _log.debug("the error in whole:", exc_info=error)
            raise self._told(error) from None

    def _told(self, error: Exception) -> MonetError:
        known = isinstance(error, MonetError)
        told = MonetError(self.hide(str(error) if known else f"{type(error).__name__}: {first_line(error)}"))
        told.exit_code = error.exit_code if isinstance(error, MonetError) else MonetError.exit_code
        return told


class _SafeFormatter(logging.Formatter):
    """Formats as another one does, without secrets."""

    def __init__(self, formatter: logging.Formatter, secrets: Secrets, tracebacks: bool) -> None:
        super().__init__()
        self._formatter = formatter
        self._secrets = secrets
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, and the traceback where it is wanted."""
        record = copy.copy(record)  # the formatter keeps the traceback in it, for others
        if not self._tracebacks:
            record.exc_info = record.exc_text = record.stack_info = None
        text = self._secrets.hide(self._formatter.format(record))
        return text if record.exc_info or record.stack_info else shortened(text, _LONGEST_LINE)


def _forms(value: str) -> list[str]:
    """Returns patterns of a secret: as it is, as it stands in an address, and the part of a token behind its colon."""
    forms = [value, quote(value, safe="")]
    if len(last := value.partition(":")[2]) >= _LEAST_SECRET:
        forms.append(last)
    return [re.sub("%([0-9A-F]{2})", _either_case, re.escape(form)) for form in forms]


def _either_case(escape: re.Match[str]) -> str:
    return f"(?i:{escape[0]})"
