"""What stands between strangers and gradio: headers, and requests that no page of ours makes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'self'"
)
"""Content-Security-Policy: nothing comes from elsewhere, and nothing goes there. gradio's page needs its own inline
scripts."""
_HEADERS = [(b"content-security-policy", _POLICY.encode()), (b"x-content-type-options", b"nosniff")]
_CLOSED = ("/openapi.json", "/docs", "/redoc")
_FETCHES = ("file=http:", "file=https:", "file=ftp:", "proxy=")
"""Addresses with which gradio fetches something from other servers, for whoever asks."""
_MOST_JSON = 4 * 2**20
"""Bytes of a request that is no upload: lists of files, and what was chosen."""


class Guard:
    """Adds headers to every answer, and refuses to fetch anything from other servers.

    Args:
        app: an ASGI application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
            await send(message)

        path = unquote(scope["path"]).lower()
        if path.endswith(_CLOSED) or any(word in path for word in _FETCHES):
            await _answer(sending, 404, "not found")
            return
        if scope["method"] == "POST" and _is_json(scope):
            body = await _whole(receive)
            if body is None:
                await _answer(sending, 413, "the request is too large")
                return
            if _names_addresses(body):
                await _answer(sending, 400, "files are uploaded, not named by an address")
                return
            receive = _again(body, receive)
        await self._app(scope, receive, sending)


def _is_json(scope: Any) -> bool:
    """Returns whether a request is no upload of files."""
    kind = dict(scope["headers"]).get(b"content-type", b"")
    return not kind.startswith((b"multipart/", b"application/x-www-form-urlencoded"))


async def _whole(receive: Any) -> bytes | None:
    """Returns the body of a request; None where it is larger than any that a page sends."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MOST_JSON:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Any) -> Any:
    """Returns what gives a body that has been read once more, and then what comes after it."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Any:
        return left.pop() if left else await receive()

    return receiving


def _names_addresses(body: bytes) -> bool:
    """Returns whether a file in a request has an address of a server instead of a place here."""
    try:
        waiting = [json.loads(body)]
    except (ValueError, RecursionError):
        return False  # gradio cannot read it either
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str) and "://" in value["path"]:
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


async def _answer(send: Any, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
