"""What a command that runs in this process leaves behind, undone."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

_LOGGERS = (None, "monet", "aiogram", "aiohttp", "asyncio", "py.warnings")


@contextlib.contextmanager
def logs_restored() -> Iterator[None]:
    """While it is open, a command may set up logs; afterwards they are as they were."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    earlier = [(logger, list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger, handlers, level, propagate in earlier:
            logger.handlers, logger.level, logger.propagate = handlers, level, propagate
