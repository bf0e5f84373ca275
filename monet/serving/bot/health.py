"""A file by which others see that the bot hears Telegram."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from aiogram.methods import GetMe, GetUpdates, TelegramMethod

from monet.files import require_writable

_log = logging.getLogger(__name__)


class Health:
    """Touches a file whenever Telegram has answered what is asked again and again.

    Args:
        path: the file; null for none.

    Raises:
        InputError: it cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            require_writable(path)
        self._path = path

    def answered(self, method: TelegramMethod[Any]) -> None:
        """Takes note of a method that was answered."""
        if self._path is None or not isinstance(method, (GetUpdates, GetMe)):
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
        except OSError as error:
            _log.warning("%s cannot be touched: %s", self._path, error.strerror or error)
