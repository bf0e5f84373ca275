"""The page on a port of this machine."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from monet.errors import InputError
from monet.files import require_regular
from monet.serving.studio.guard import Guard

logger = logging.getLogger(__name__)

_GOODBYE_SECONDS = 5
"""Time that open pages have when the studio ends."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the page is."""

    host: str = "127.0.0.1"
    """Address of this machine on which it listens."""
    port: int = 7860
    """0 for any that is free."""
    root_path: str = ""
    """The path below which a reverse proxy shows it, such as `/studio`."""
    accounts: dict[str, str] | None = None
    """Passwords by name; without, everybody who reaches the page may use it."""

    def __post_init__(self) -> None:
        if self.root_path and not self.root_path.startswith(("/", "http://", "https://")):
            raise InputError(f"--root-path is {self.root_path!r}: begin it with /, such as /studio")

    @property
    def is_local(self) -> bool:
        """Only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def read_accounts(path: Path) -> dict[str, str]:
    """Reads names and passwords, `name:password` a line; empty lines and those that begin with # are left out.

    Raises:
        InputError: the file cannot be read, or a line is none.
    """
    require_regular(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"--auth-file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    accounts: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, found, password = line.partition(":")
        if not (found and name and password) or name != name.strip():
            raise InputError(f"--auth-file {path}, line {number}: give name:password, without spaces around the name")
        if name in accounts:
            raise InputError(f"--auth-file {path}, line {number}: this name is there twice")
        accounts[name] = password
    if not accounts:
        raise InputError(f"--auth-file {path} names nobody: give a line name:password")
    return accounts


def serve(page: gr.Blocks, place: Place, *, most_bytes: int, on_ready: Callable[[str], None]) -> None:
    """Shows the page until a signal ends it, which is then raised as in any command.

    Args:
        page: the page.
        place: where.
        most_bytes: of an upload.
        on_ready: called with the page's address when it can be opened.

    Raises:
        InputError: the address is not this machine's, or the port is taken.
    """
    listener = _listener(place)
    port = listener.getsockname()[1]
    app = _application(page, place, most_bytes)
    config = uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=_GOODBYE_SECONDS,
        proxy_headers=True,
        server_header=False,
    )
    if not place.is_local and place.accounts is None:
        logger.warning("everybody who reaches %s may use the studio: --auth-file asks for a password", place.host)
    server = _Server(config, lambda: on_ready(f"http://{_shown(place.host)}:{port}"))
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells when it has begun."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends the page by a hang-up as by the other signals, in order; unless it is ignored, as under nohup."""
        hang_up = getattr(signal, "SIGHUP", None)
        with super().capture_signals():
            is_main = threading.current_thread() is threading.main_thread()  # no other one hears signals
            if not is_main or hang_up is None or signal.getsignal(hang_up) == signal.SIG_IGN:
                yield
                return
            earlier = signal.signal(hang_up, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(hang_up, earlier)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # of open pages; the command says what ended it
        await super().shutdown(sockets)


def _application(page: gr.Blocks, place: Place, most_bytes: int) -> Any:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    accounts = place.accounts
    app = gr.mount_gradio_app(
        app,
        page,
        path="/",
        auth=None if accounts is None else lambda name, password: _may_enter(accounts, name, password),
        root_path=place.root_path or None,
        max_file_size=most_bytes,
        footer_links=["api"],
        run_history=False,
        show_error=False,
        css=_source("page.css"),
        head=f"<script>{_source('page.js')}</script>",
        theme=_theme(),
    )
    page.has_launched = True  # until then gradio takes any file of this machine for one that was uploaded
    return Guard(app)


def _source(name: str) -> str:
    return (files("monet.serving.studio") / name).read_text(encoding="utf-8")


def _theme() -> Any:
    """gradio's own, with text that can be told from what is behind it (WCAG: 4.5 to 1)."""
    fonts = [gr.themes.Font(name) for name in ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")]
    mono = [gr.themes.Font(name) for name in ("ui-monospace", "Consolas", "monospace")]
    return gr.themes.Default(primary_hue="blue", font=fonts, font_mono=mono).set(
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_300",
        color_accent="*primary_600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )


def _may_enter(accounts: dict[str, str], name: str, password: str) -> bool:
    """Compares in a time that tells nothing."""
    expected = accounts.get(name, "")
    return hmac.compare_digest(expected.encode(), password.encode()) and name in accounts


def _listener(place: Place) -> socket.socket:
    """Opens the port.

    Raises:
        InputError: that cannot be.
    """
    try:
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        return socket.create_server((place.host, place.port), family=family)
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error).partition(" (while ")[0]
        raise InputError(
            f"the studio cannot listen on {place.host}:{place.port} ({reason}): give another --host or --port"
        ) from error


def _shown(host: str) -> str:
    """Returns an address as a browser on this machine can open it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
