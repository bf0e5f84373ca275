"""`pipelines.kernel push`, through the real `kaggle` package, to a server on this machine that answers as Kaggle."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from monet.errors import MonetError
from monet.kernel.build import METADATA
from monet.kernel.editions import LONG, SHORT
from monet.kernel.push import LACKING, collect_wheels, prepare
from tests.pipelines.conftest import ROOT, command

pytest.importorskip("kagglesdk", reason="kaggle is among the extra requirements")

KEY = "0123456789abcdef" * 2
WANTS_CREDENTIALS = (
    "error: Kaggle finds no credentials, or wrong ones: make a token at kaggle.com/settings/api, and put it into "
    "KAGGLE_API_TOKEN or ~/.kaggle/access_token\n"
)
FRONT = """
import kagglesdk.kaggle_env as env
env._env_to_endpoint[env.KaggleEnv.PROD] = "http://127.0.0.1:{port}"
"""
"""Lets the kaggle package of a child process look for Kaggle on this machine."""


class Kaggle(ThreadingHTTPServer):
    """Keeps what it is sent, and answers with what it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.received: list[tuple[str, str, dict[str, Any]]] = []
        self.status = 200
        self.answer: dict[str, Any] = {
            "ref": "/code/someone/monet-submission",
            "url": "https://www.kaggle.com/code/someone/monet-submission",
            "versionNumber": 3,
            "error": "",
        }


class Answering(BaseHTTPRequestHandler):
    server: Kaggle

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with contextlib.suppress(ValueError):
            self.server.received.append((self.path, self.headers.get("Authorization", ""), json.loads(body)))
        text = json.dumps(self.server.answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Kaggle]:
    server = Kaggle()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "front").mkdir()
    (tmp_path / "front" / "sitecustomize.py").write_text(FRONT.format(port=server.server_port))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "front"))
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()


def saved(kaggle: Kaggle) -> dict[str, Any]:
    """The one kernel that was sent."""
    (request,) = [body for path, _, body in kaggle.received if path.endswith("SaveKernel")]
    return request


def test_a_kernel_is_sent_with_its_notebook_and_its_settings(
    kaggle: Kaggle, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (ROOT / "kaggle" / METADATA).read_bytes()
    assert command("kernel", "push", "--user", "someone") == 0
    out = capsys.readouterr().out
    assert "version 3 of someone/monet-submission is on its way: https://www.kaggle.com/code/someone/monet-" in out
    assert (
        'kaggle competitions submit gan-getting-started -k someone/monet-submission -f images.zip -v 3 -m "what is new"'
    ) in out
    request = saved(kaggle)
    assert request["slug"] == "someone/monet-submission"
    assert request["enableInternet"] is False
    assert request["enableGpu"] is request["isPrivate"] is True
    assert request["competitionDataSources"] == ["gan-getting-started"]
    assert request["machineShape"] == "NvidiaTeslaT4"
    sent = json.loads(request["text"])
    built = json.loads((ROOT / "kaggle" / SHORT.notebook).read_text())
    assert [cell["source"] for cell in sent["cells"]] == ["".join(cell["source"]) for cell in built["cells"]]
    assert kaggle.received[-1][1] == "Basic " + base64.b64encode(f"someone:{KEY}".encode()).decode()
    assert (ROOT / "kaggle" / METADATA).read_bytes() == before  # no name is left in what is committed


def test_the_long_kernel_is_sent_to_go_on_from_an_earlier_one(
    kaggle: Kaggle, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["push", "--user", "someone", "--folder", str(ROOT / "kaggle" / "long")]
    assert command("kernel", *words, "--goes-on-from", "someone/monet-long") == 0
    assert "-k someone/monet-long -f images.zip" in capsys.readouterr().out
    request = saved(kaggle)
    assert (request["slug"], request["kernelDataSources"]) == ("someone/monet-long", ["someone/monet-long"])
    cells = [cell["source"] for cell in json.loads(request["text"])["cells"]]
    assert any(LONG.recipe in "".join(cell) for cell in cells)
    assert command("kernel", *words, "--goes-on-from", "monet-long") == 2
    assert "'monet-long' is not a Kaggle kernel: write it as USER/SLUG" in capsys.readouterr().err


def test_the_kaggle_package_itself_accepts_the_metadata(kaggle: Kaggle, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("kernel", "push", "--user", "someone", "--slug", "my-paintings") == 0
    assert saved(kaggle)["newTitle"] == "my-paintings"
    assert "does not resolve" not in capsys.readouterr().out


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_are_one_line(kaggle: Kaggle, capsys: pytest.CaptureFixture[str], status: int) -> None:
    kaggle.status, kaggle.answer = status, {"code": status, "message": "Unauthenticated"}
    assert command("kernel", "push", "--user", "someone") == 2
    err = capsys.readouterr().err
    assert err == WANTS_CREDENTIALS


def test_no_credentials_are_one_line(
    kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    assert command("kernel", "push", "--user", "someone") == 2
    assert capsys.readouterr().err == WANTS_CREDENTIALS
    assert kaggle.received == []


def test_a_refusal_says_kaggles_reason(kaggle: Kaggle, capsys: pytest.CaptureFixture[str]) -> None:
    kaggle.answer = {"error": "Maximum weekly GPU quota of 30.00 hours reached", "ref": "", "url": ""}
    assert command("kernel", "push", "--user", "someone") == 1
    err = capsys.readouterr().err
    assert "Kaggle does not take the kernel: " in err
    assert "Maximum weekly GPU quota" in err


def test_no_network_is_one_line(kaggle: Kaggle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "front" / "sitecustomize.py").write_text(FRONT.format(port=9))  # where nothing listens
    assert command("kernel", "push") == 1
    assert capsys.readouterr().err.startswith("error: Kaggle cannot be reached: nothing was pushed")


def test_a_dry_run_shows_everything_and_sends_nothing(kaggle: Kaggle, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("kernel", "push", "--user", "someone", "--dry-run") == 0
    out = capsys.readouterr().out
    assert '"id": "someone/monet-submission"' in out
    assert re.search(r"monet-submission\.ipynb: [\d,]+ bytes, SHA-256 [0-9a-f]{64}", out)
    assert kaggle.received == []


def test_a_name_is_found_with_the_credentials_or_asked_for(
    kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    assert command("kernel", "push") == 2
    assert "whose kernel is it? give --user NAME" in capsys.readouterr().err
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    (tmp_path / "home" / ".kaggle" / "kaggle.json").write_text('{"username": "another", "key": "x"}')
    assert command("kernel", "push", "--dry-run") == 0
    assert '"id": "another/monet-submission"' in capsys.readouterr().out
    monkeypatch.setenv("KAGGLE_USERNAME", "bad name")
    assert command("kernel", "push", "--dry-run") == 2
    assert "'bad name' is not a valid name of a Kaggle user" in capsys.readouterr().err


def test_what_was_not_built_cannot_be_pushed(tmp_path: Path) -> None:
    with pytest.raises(MonetError, match="holds no built kernel: python -m pipelines.kernel build writes one"):
        prepare(tmp_path, tmp_path, "someone", "monet-submission")


def test_wheels_and_weights_make_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        for name in LACKING:
            (tmp_path / "wheels" / f"{name}-1-py3-none-any.whl").write_bytes(b"")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    (tmp_path / "weights.pth").write_bytes(b"weights")
    names = collect_wheels(tmp_path / "wheels", tmp_path / "weights.pth")
    assert len([name for name in names if name.endswith(".whl")]) == len(LACKING)
    assert {"weights.pth", "dataset-metadata.json"} <= set(names)
    assert calls[0][-len(LACKING) :] == list(LACKING)
    metadata = tmp_path / "wheels" / "dataset-metadata.json"
    metadata.write_text(metadata.read_text().replace("INSERT_USERNAME", "claude-m"))
    collect_wheels(tmp_path / "wheels", None)
    assert "claude-m/monet-wheels" in metadata.read_text()  # what a user wrote there stays


def test_a_failed_download_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "WARNING: retrying\nERROR: No matching distribution found for furl\n"
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", said))
    with pytest.raises(MonetError, match="^pip cannot download the wheels: No matching distribution found for furl$"):
        collect_wheels(tmp_path / "wheels", None)
    shutil.rmtree(tmp_path / "wheels")
