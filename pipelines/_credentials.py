"""Which services this machine has credentials for. Only whether they are there: nobody reads them here."""

from __future__ import annotations

import netrc
import os
from pathlib import Path


def credentials() -> dict[str, bool]:
    """Trackers, and whether they can be online."""
    return {"clearml": _has_clearml(), "wandb": _has_wandb()}


def has_kaggle() -> bool:
    """Whether kagglehub finds credentials."""
    try:
        from kagglehub.config import get_kaggle_credentials

        return get_kaggle_credentials() is not None
    except (ImportError, ValueError):
        return False


def _has_clearml() -> bool:
    if os.environ.get("CLEARML_OFFLINE_MODE", "").lower() not in ("", "0", "false", "no"):
        return False
    file = Path(os.environ.get("CLEARML_CONFIG_FILE", "~/clearml.conf")).expanduser()
    return file.exists() or "CLEARML_API_ACCESS_KEY" in os.environ


def _has_wandb() -> bool:
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        file = os.environ.get("NETRC") or str(Path("~/.netrc").expanduser())
        return any("wandb" in host for host in netrc.netrc(file).hosts)
    except (OSError, netrc.NetrcParseError):
        return False
