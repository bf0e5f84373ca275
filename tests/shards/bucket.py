"""A store on loopback that speaks S3, and misbehaves as stores do: it asks for patience, drops connections, is slow."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


class Moody:
    """A WSGI application before another one, with moods by a seed.

    Args:
        app: answers where this one lets it.
        share: of the requests that meet a mood.
        seed: of the moods.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], share: float, seed: int) -> None:
        self._app = app
        self._share = share
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.moods: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            mood = "fine"
            if self._random.random() < self._share:
                mood = self._random.choice(["busy", "dropped", "slow", "half"])
            self.moods[mood] += 1
        if mood == "busy":
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [_SLOW_DOWN]
        if mood == "dropped":
            self._drop(environ)
        if mood == "slow":
            time.sleep(0.5)
        answer = self._app(environ, start_response)
        if mood == "half" and environ["REQUEST_METHOD"] == "GET":
            return self._half(environ, answer)
        return answer

    @staticmethod
    def _drop(environ: dict[str, Any]) -> None:
        connection = environ["werkzeug.socket"]
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def _half(self, environ: dict[str, Any], answer: Iterable[bytes]) -> Iterator[bytes]:
        whole = b"".join(answer)
        yield whole[: len(whole) // 2]
        self._drop(environ)


@contextlib.contextmanager
def bucket(monkeypatch: pytest.MonkeyPatch, *, share: float = 0.0, seed: int = 0) -> Iterator[Moody]:
    """A store with an empty bucket `photos`, which this process and those that it starts take for S3."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    import s3fs
    from werkzeug.serving import make_server

    from monet.shards import store

    application = Moody(moto.DomainDispatcherApplication(moto.create_backend_app), 0.0, seed)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    store._system_of.cache_clear()
    try:
        forget = f"http://127.0.0.1:{server.server_port}/moto-api/reset"  # what an earlier one held
        urllib.request.urlopen(urllib.request.Request(forget, method="POST")).close()
        s3fs.S3FileSystem().mkdir("photos")
        s3fs.S3FileSystem.clear_instance_cache()
        application._share = share
        yield application
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        s3fs.S3FileSystem.clear_instance_cache()
        store._system_of.cache_clear()
