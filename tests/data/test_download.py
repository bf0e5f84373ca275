"""kagglehub against a server on this machine that answers as Kaggle's API does."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from monet.data.download import download_competition
from monet.data.layout import find_layout
from monet.errors import InputError
from tests.test_archive import jpeg

PORT = 7777  # what kagglehub calls in its test environment


class Kaggle(BaseHTTPRequestHandler):
    """Hands out a small copy of the competition to those with the right key."""

    requests: list[str] = []  # noqa: RUF012
    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Kaggle.requests.append(f"{self.path} {self.headers.get('Authorization', '')[:5]}")
        body = b'{"code": 403, "message": "You must accept this competition\'s rules"}'
        if Kaggle.status == 200:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for name in ("monet_jpg/a.jpg", "photo_jpg/b.jpg", "photo_jpg/c.jpg", "monet_tfrec/x.tfrec"):
                    archive.writestr(name, jpeg())
            body = buffer.getvalue()
        self.send_response(Kaggle.status)
        self.send_header("Content-Type", "application/zip" if Kaggle.status == 200 else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Wed, 21 Oct 2020 07:28:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Kaggle]]:
    try:
        server = ThreadingHTTPServer(("localhost", PORT), Kaggle)
    except OSError:
        pytest.skip(f"port {PORT} is taken")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setenv("KAGGLE_API_ENDPOINT", f"http://localhost:{PORT}")  # what kagglehub before 0.4 reads
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("KAGGLE_USERNAME", "monet")
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    monkeypatch.delenv("KAGGLE_API_TOKEN", raising=False)
    Kaggle.requests, Kaggle.status = [], 200
    yield Kaggle
    server.shutdown()
    server.server_close()


def test_the_competition_is_downloaded_once(kaggle: type[Kaggle]) -> None:
    layout = find_layout(download_competition())
    assert layout.kind == "competition"
    assert (len(layout.photos), len(layout.paintings)) == (2, 1)
    assert any("DownloadDataFiles" in request or "data" in request for request in kaggle.requests)
    assert find_layout(download_competition()) == layout


def test_a_refusal_is_one_line_that_says_what_to_do(kaggle: type[Kaggle]) -> None:
    kaggle.status = 403
    with pytest.raises(InputError, match=r"did not hand out gan-getting-started .*accept the .* rules") as caught:
        download_competition()
    assert "\n" not in str(caught.value)


def test_without_credentials_nothing_is_asked(kaggle: type[Kaggle], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    with pytest.raises(InputError, match="no Kaggle credentials: set KAGGLE_USERNAME and KAGGLE_KEY, or download"):
        download_competition()
    assert kaggle.requests == []
