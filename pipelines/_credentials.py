"""Which services this machine has credentials for. Only whether they are there: nobody reads them here."""

from __future__ import annotations

import netrc
import os
from collections.abc import Callable
from pathlib import Path


def credentials() -> dict[str, bool]:
    """Trackers, and whether they can be online."""
    return {"clearml": _found(_has_clearml), "wandb": _found(_has_wandb)}


def _found(look: Callable[[], bool]) -> bool:
    """Returns False where a home folder or a file in it cannot be read, whatever the reason."""
    try:
        return look()
    except Exception:  # noqa: BLE001
        return False


def has_kaggle() -> bool:
    """Returns whether kagglehub finds credentials."""
    try:
        from kagglehub.config import get_kaggle_credentials

        return get_kaggle_credentials() is not None
    except (ImportError, ValueError):
        return False


def _has_clearml() -> bool:
    if os.environ.get("CLEARML_OFFLINE_MODE", "").lower() not in ("", "0", "false", "no"):
        return False
    file = Path(os.environ.get("CLEARML_CONFIG_FILE", "~/clearml.conf")).expanduser()
    return file.exists() or {"CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"} <= os.environ.keys()


def _has_wandb() -> bool:
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    file = os.environ.get("NETRC") or str(Path("~/.netrc").expanduser())
    return any("wandb" in host for host in netrc.netrc(file).hosts)
