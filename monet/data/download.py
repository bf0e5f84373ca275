"""The competition's data from Kaggle, through kagglehub."""

from __future__ import annotations

import logging
from pathlib import Path

from monet.data.layout import COMPETITION, KAGGLE_MOUNTS
from monet.errors import InputError

logger = logging.getLogger(__name__)

_BY_HAND = f"download {COMPETITION} from Kaggle into data/{COMPETITION}, name a folder with --data, or use --data demo"


def download_competition() -> Path:
    """Downloads the competition's data, or finds it in kagglehub's cache.

    Returns:
        The folder that holds `monet_jpg/` and `photo_jpg/`.

    Raises:
        InputError: kagglehub is not installed, has no credentials, or was refused; the message says what to do.
    """
    try:
        import kagglehub
        from kagglehub.config import get_kaggle_credentials
    except ImportError:
        raise InputError(
            f"{_nothing_found()}, and kagglehub is not installed: pip install kagglehub, or {_BY_HAND}"
        ) from None
    try:
        if get_kaggle_credentials() is None:
            raise InputError(
                f"{_nothing_found()}, and no Kaggle credentials: set KAGGLE_USERNAME and KAGGLE_KEY, or {_BY_HAND}"
            )
        logger.info("downloading %s from Kaggle", COMPETITION)
        return Path(kagglehub.competition_download(COMPETITION))
    except InputError:
        raise
    except Exception as error:  # kagglehub passes on whatever its HTTP library raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"Kaggle did not hand out {COMPETITION} ({reason}): accept the competition's rules there, or {_BY_HAND}"
        ) from error


def _nothing_found() -> str:
    places = ", ".join(str(place) for place in (*KAGGLE_MOUNTS, Path("data") / COMPETITION))
    return f"no data in {places}"
