"""Products that a run can do without: an error in one of them is a warning, and the run continues.

What a run cannot do without is its data, its training, and one file: the archive, or, where nothing is painted, the
last checkpoint. Only their failures end it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from monet.errors import MonetError, first_line

logger = logging.getLogger(__name__)

_LONGEST = 200
"""Characters of an error's message that are shown: some libraries tell whole stories."""


@contextlib.contextmanager
def side_product(what: str, told: set[str] | None = None) -> Iterator[None]:
    """Around the making of something that a run can do without. An error there, of whatever kind, is logged in one line
    and goes no further; what tells the process to end is no error, and does.

    Args:
        what: is made, as a person calls it.
        told: what has failed before; from the second time on, it is only a debug message.
    """
    try:
        yield
    except Exception as error:
        again = told is not None and what in told
        logger.log(
            logging.DEBUG if again else logging.WARNING,
            "%s could not be made: %s; the run continues without",
            what,
            described(error),
        )
        logger.debug("where %s failed", what, exc_info=True)
        if told is not None:
            told.add(what)


def described(error: BaseException) -> str:
    """Returns an error in one line."""
    message = first_line(error, "no reason given")[:_LONGEST]
    return message if isinstance(error, MonetError) else f"{type(error).__name__}: {message}"
