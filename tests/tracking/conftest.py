"""A server on this machine that answers as ClearML's does, and what it was sent."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


def _token() -> str:
    parts = (
        {"alg": "HS256", "typ": "JWT"},
        {
            "exp": int(time.time()) + 86400,
            "api_version": "2.23",
            "server_version": "1.16",
            "feature_set": "basic",
            "identity": {"user": "u", "company": "c", "role": "admin"},
        },
    )
    coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{'.'.join(coded)}.c2lnbmF0dXJl"


class Server:
    """Tasks, models, events and files that were sent here."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.uploads: list[bytes] = []
        self.refuses = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self) -> None:
                body, name = self._body(), self.path.strip("/").split("/")[-1]
                if "." in name:
                    content = server.answer(name, body.decode())
                else:
                    server.uploads.append(body)
                    content = {}
                code = 401 if server.refuses else 200
                meta = {"id": "x", "trx": "x", "result_code": code, "result_subcode": 0, "result_msg": "as asked for"}
                meta["endpoint"] = {"name": name, "requested_version": "2.23", "actual_version": "2.23"}
                answer = json.dumps({"meta": meta, "data": content}).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def let_in(self, patch: pytest.MonkeyPatch) -> None:
        """Puts its addresses and credentials for it into the environment."""
        for name in ("API", "WEB", "FILES"):
            patch.setenv(f"CLEARML_{name}_HOST", self.address)
        patch.setenv("CLEARML_API_ACCESS_KEY", "key")
        patch.setenv("CLEARML_API_SECRET_KEY", "word")

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, name: str, body: str) -> dict[str, Any]:
        if name == "events.add_batch":
            self.events += [json.loads(line) for line in body.splitlines()]
            return {"added": 1, "errors": 0}
        data, new = json.loads(body or "{}"), uuid.uuid4().hex
        task = self.tasks.get(data.get("task", ""), {})
        match name:
            case "auth.login":
                return {"token": _token()}
            case "projects.create":
                return {"id": new}
            case "projects.get_all":
                return {"projects": []}
            case "projects.get_by_id":
                return {"project": {"id": data["project"], "name": "monet"}}
            case "tasks.create":
                parts: dict[str, Any] = {"output": {}, "execution": {}, "models": {"input": [], "output": []}}
                self.tasks[new] = {**parts, "status": "created", **data, "id": new}
                return {"id": new}
            case "tasks.get_by_id":
                return {"task": task}
            case "tasks.get_all":
                return {"tasks": [self.tasks[number] for number in data.get("id") or [] if number in self.tasks]}
            case "tasks.edit" | "tasks.update":
                task.update({key: value for key, value in data.items() if key != "task"})
            case "tasks.add_or_update_artifacts":
                task["execution"].setdefault("artifacts", []).extend(data["artifacts"])
            case "tasks.started" | "tasks.stopped" | "tasks.completed" | "tasks.failed":
                task["status"] = "in_progress" if name == "tasks.started" else name.partition(".")[2]
                return {"updated": 1, "started": 1, "fields": {}}
            case "models.create":
                self.models[new] = {**data, "id": new}
                return {"id": new, "created": True}
            case "models.get_by_id":
                return {"model": self.models[data["model"]]}
            case "models.edit":
                self.models[data["model"]].update(data)
        return {"updated": 1, "fields": {}}


@pytest.fixture
def clearml_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, where ClearML and W&B find no credentials."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("API_HOST", "API_ACCESS_KEY", "API_SECRET_KEY", "CONFIG_FILE", "OFFLINE_MODE"):
        monkeypatch.delenv(f"CLEARML_{name}", raising=False)
    for name in ("WANDB_API_KEY", "WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def clearml_server(clearml_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, and credentials for it."""
    server = Server()
    server.let_in(monkeypatch)
    yield server
    server.close()
