from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from monet.errors import InputError
from monet.scoring import weights as module
from monet.scoring.weights import (
    FILE_NAME,
    InceptionWeights,
    NoWeights,
    cached_weights,
    downloaded_weights,
    named_weights,
)

RELEASED = b"the released weights"


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A server that hands out the release, and a hash that fits it."""
    from torch_fidelity import feature_extractor_inceptionv3

    served = {"body": RELEASED}

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if served["body"] else 404)
            self.send_header("Content-Length", str(len(served["body"])))
            self.end_headers()
            self.wfile.write(served["body"])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{FILE_NAME}"
    monkeypatch.setattr(feature_extractor_inceptionv3, "URL_INCEPTION_V3", url)
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(RELEASED).hexdigest())
    yield served
    server.shutdown()
    server.server_close()


def test_the_name_of_the_file_begins_the_hash() -> None:
    assert f"weights-inception-2015-12-05-{module.SHA256[:8]}.pth" == FILE_NAME
    assert len(module.SHA256) == 64


def test_weights_are_downloaded_once(release: dict[str, bytes], tmp_path: Path) -> None:
    assert cached_weights(tmp_path) is None
    first = downloaded_weights(tmp_path)
    assert (first.known, first.data) == (True, RELEASED)
    release["body"] = b""
    assert downloaded_weights(tmp_path) == first
    assert cached_weights(tmp_path) == first


def test_a_damaged_copy_in_the_cache_is_downloaded_again(
    release: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / FILE_NAME).write_bytes(RELEASED[:5])
    assert cached_weights(tmp_path) is None
    assert "is damaged" in caplog.text
    assert downloaded_weights(tmp_path).known


@pytest.mark.parametrize("body", [b"", b"another file"])
def test_what_is_not_the_release_is_refused_with_what_to_do(
    release: dict[str, bytes], tmp_path: Path, body: bytes
) -> None:
    release["body"] = body
    with pytest.raises(NoWeights, match=rf"no download \(.*put {FILE_NAME} .* --inception-weights") as caught:
        downloaded_weights(tmp_path)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_named_weights_are_taken_and_known_to_be_others(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"mine")
    weights = named_weights(tmp_path / "mine.pth")
    assert not weights.known
    assert weights.sha256 == hashlib.sha256(b"mine").hexdigest()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        named_weights(tmp_path / "nowhere.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol", "ignore:Validating sparse")
def test_damaged_weights_are_one_line() -> None:
    file = io.BytesIO()
    torch.save({"conv.weight": torch.zeros(4, 3), "conv.bias": torch.zeros(4)}, file)
    whole = file.getvalue()
    pickles = [pickle.dumps(value, protocol=2) for value in (print, {1}, [1], {"a": 1})]
    tensors = ({1: torch.zeros(1)}, {"a": torch.zeros(1, dtype=torch.complex64)}, {"a": torch.zeros(2).to_sparse()})
    for values in tensors:
        file = io.BytesIO()
        torch.save(values, file)
        pickles.append(file.getvalue())
    for piece in [b"", b"mine", b"\x80\x02" + bytes(range(256)), whole[:500], whole[:-500], *pickles]:
        with pytest.raises(InputError, match="damaged or hold more than tensors|are not a state dict"):
            InceptionWeights("mine.pth", "", piece).state_dict()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x10
        with contextlib.suppress(InputError):
            InceptionWeights("mine.pth", "", bytes(changed)).state_dict()
