"""What `check` puts in front of all that the notebook starts: no network, and nothing installed that is to lack.

It is copied there as `sitecustomize.py`, which Python imports when it starts, with its values in `sitecustomize.json`.
It imports nothing of monet, which lies elsewhere.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Collection, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def close_network() -> None:
    """Lets sockets reach this machine alone, and names other machines as unknown."""
    connect, getaddrinfo = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _LOOPBACK:
            raise OSError(101, "Network is unreachable")
        connect(self, address)

    def resolve_here(host: Any, *rest: Any, **options: Any) -> Any:
        if host not in (None, "", "0.0.0.0", *_LOOPBACK, socket.gethostname()):
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return getaddrinfo(host, *rest, **options)

    socket.socket.connect = connect_here  # type: ignore[assignment, method-assign]
    socket.getaddrinfo = resolve_here


def hide(modules: Collection[str], site: str) -> None:
    """Hides modules from imports.

    Args:
        modules: their names.
        site: the folder where they are seen all the same: what the notebook installs goes there.
    """
    find_spec = PathFinder.find_spec

    def find_others(name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        found = find_spec(name, path, target)
        hidden = found and name.split(".")[0] in modules and not str(found.origin).startswith(site)
        return None if hidden else found

    PathFinder.find_spec = find_others  # type: ignore[assignment, method-assign]


if __name__ == "sitecustomize":
    close_network()
    hide(**json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8")))
