"""A server that speaks the Bot API over HTTP, on the loopback: with real uploads and downloads, and with trouble."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PATIENCE = 40.0
LONGEST_POLL = 5.0
TICK = 0.01


@dataclass(frozen=True)
class Call:
    """A request that the bot made."""

    method: str
    fields: dict[str, str]
    files: dict[str, tuple[str, bytes]]
    """Name and content, by the field."""
    at: float

    @property
    def chat(self) -> int:
        return int(self.fields.get("chat_id", 0))

    @property
    def text(self) -> str:
        return self.fields.get("text", "")

    def attached(self, name: str) -> tuple[str, bytes]:
        """Name and content of a file: `photo`, `document`, …"""
        return self.files[self.fields[name].removeprefix("attach://")]

    @property
    def album(self) -> list[tuple[str, str, bytes]]:
        """Type, name and content of each part."""
        parts = json.loads(self.fields["media"])
        return [(part["type"], *self.files[part["media"].removeprefix("attach://")]) for part in parts]

    @property
    def buttons(self) -> list[list[tuple[str, str]]]:
        """Label and data, row by row."""
        rows = json.loads(self.fields["reply_markup"])["inline_keyboard"]
        return [[(button["text"], button["callback_data"]) for button in row] for row in rows]


Trouble = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""What a request gets instead of an answer."""


def _answering(body: dict[str, Any], status: int) -> Trouble:
    async def trouble(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return trouble


def too_many(seconds: int) -> Trouble:
    body = {"ok": False, "error_code": 429, "description": f"Too Many Requests: retry after {seconds}"}
    return _answering({**body, "parameters": {"retry_after": seconds}}, 429)


async def bad_gateway(_: web.Request) -> web.StreamResponse:
    page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>"
    return web.Response(text=page, status=502, content_type="text/html")


def refusal(status: int, description: str) -> Trouble:
    body = {"ok": False, "error_code": status, "description": description}
    return _answering(body, status)


async def dropped(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def sent_in_circles(_: web.Request) -> web.StreamResponse:
    """Makes an error whose text has the address that was asked for, and the token with it."""
    return web.Response(status=302, headers={"Location": "/circle"})


@dataclass
class Stored:
    """A file that can be fetched."""

    content: bytes
    told: int | None
    """The size that `getFile` tells."""
    name: str


class TelegramServer:
    """The server, in a thread of its own."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.calls: list[Call] = []
        self.unauthorized = False
        self.stored: dict[str, Stored] = {}
        self.trouble: dict[str, deque[Trouble]] = defaultdict(deque)
        """By method, and `download`."""
        self._updates: list[dict[str, Any]] = []
        self._repeated: list[dict[str, Any]] = []
        self._numbers = itertools.count(1000)
        self._held: set[str] = set()
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        ready = threading.Event()
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._listen(ready)))
        self._thread.start()
        assert ready.wait(PATIENCE)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def number(self) -> int:
        return next(self._numbers)

    def store(self, content: bytes, told: int | None = None, name: str = "file") -> str:
        """Keeps a file; returns its id."""
        file_id = f"F{self.number()}"
        self.stored[file_id] = Stored(content, len(content) if told is None else told, name)
        return file_id

    def update(self, **content: Any) -> dict[str, Any]:
        """Lets an update wait to be fetched."""
        update = {"update_id": self.number(), **content}
        with self._news:
            self._updates.append(update)
        return update

    def repeat(self, *updates: dict[str, Any]) -> None:
        """Hands updates out with the next answer, whatever was confirmed."""
        with self._news:
            self._repeated += updates

    @contextlib.contextmanager
    def holding(self, method: str) -> Iterator[None]:
        """While it is open, requests of this kind wait."""
        self._held.add(method)
        try:
            yield
        finally:
            self._held.discard(method)

    def wait(self, wanted: Callable[[Call], bool], count: int = 1, seconds: float = PATIENCE) -> list[Call]:
        """Waits until there are so many calls of a kind; returns all of it."""
        end = time.monotonic() + seconds
        with self._news:
            while True:
                found = [call for call in self.calls if wanted(call)]
                if len(found) >= count:
                    return found
                left = end - time.monotonic()
                assert left > 0, [(call.method, call.chat, call.text) for call in self.calls[-20:]]
                self._news.wait(left)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _listen(self, ready: threading.Event) -> None:
        application = web.Application(client_max_size=2**28)
        application.router.add_route("*", "/bot{token}/{method}", self._answer)
        application.router.add_get("/circle", sent_in_circles)
        application.router.add_get("/file/bot{token}/{file_id}/{name:.*}", self._download)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        ready.set()

    async def _close(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        data = await request.post()
        fields = {name: value for name, value in data.items() if isinstance(value, str)}
        files = {
            name: (value.filename, value.file.read())
            for name, value in data.items()
            if isinstance(value, web.FileField)
        }
        call = Call(method, fields, files, time.monotonic())
        with self._news:
            self.calls.append(call)
            self._news.notify_all()
        while method in self._held:
            await asyncio.sleep(TICK)
        if request.match_info["token"] != self.token or self.unauthorized:
            return await refusal(401, "Unauthorized")(request)
        if self.trouble[method]:
            return await self.trouble[method].popleft()(request)
        return web.json_response({"ok": True, "result": await self._result(call)})

    async def _result(self, call: Call) -> Any:
        match call.method:
            case "getMe":
                return {"id": 42, "is_bot": True, "first_name": "Painter", "username": "painter_bot"}
            case "getUpdates":
                return await self._next(int(call.fields.get("offset", 0)), float(call.fields.get("timeout", 0)))
            case "getFile":
                file_id = call.fields["file_id"]
                stored = self.stored[file_id]
                about = {"file_id": file_id, "file_unique_id": file_id, "file_path": f"{file_id}/{stored.name}"}
                return about if stored.told is None else {**about, "file_size": stored.told}
            case "sendMediaGroup":
                return [self._message(call) for _ in json.loads(call.fields["media"])]
            case method if (method.startswith("send") and method != "sendChatAction") or method == "editMessageText":
                return self._message(call)
            case _:
                return True

    def _message(self, call: Call) -> dict[str, Any]:
        return {
            "message_id": self.number(),
            "date": 1_700_000_000,
            "chat": {"id": call.chat, "type": "private"},
            "text": call.text,
        }

    async def _next(self, offset: int, timeout: float) -> list[dict[str, Any]]:
        end = time.monotonic() + min(timeout, LONGEST_POLL)
        while True:
            with self._news:
                self._updates = [update for update in self._updates if update["update_id"] >= offset]
                given, self._repeated = self._updates[:100] + self._repeated, []
                if given or time.monotonic() >= end:
                    return given
            await asyncio.sleep(TICK)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        call = Call("download", {"file_id": request.match_info["file_id"]}, {}, time.monotonic())
        with self._news:
            self.calls.append(call)
            self._news.notify_all()
        while "download" in self._held:
            await asyncio.sleep(TICK)
        if request.match_info["token"] != self.token:
            return web.Response(status=401)
        if self.trouble["download"]:
            return await self.trouble["download"].popleft()(request)
        return web.Response(body=self.stored[request.match_info["file_id"]].content)


@dataclass
class Person:
    """Somebody who talks to the bot."""

    server: TelegramServer
    id: int
    language: str | None = "en"
    chat_type: str = "private"
    _seen: int = field(default=0)

    def message(self, **content: Any) -> dict[str, Any]:
        """A message's content."""
        sender = {"id": self.id, "is_bot": False, "first_name": "Ann", "language_code": self.language}
        chat = {"id": self.id if self.chat_type == "private" else -self.id, "type": self.chat_type}
        return {
            "message_id": self.server.number(),
            "date": 1_700_000_000,
            "chat": chat,
            "from": {name: value for name, value in sender.items() if value is not None},
            **content,
        }

    def sends(self, **content: Any) -> dict[str, Any]:
        """Sends a message; returns the update."""
        return self.server.update(message=self.message(**content))

    def says(self, text: str) -> dict[str, Any]:
        return self.sends(text=text)

    def command(self, text: str) -> dict[str, Any]:
        """Sends a text that begins with a command."""
        entity = {"type": "bot_command", "offset": 0, "length": len(text.split()[0])}
        return self.sends(text=text, entities=[entity])

    def presses(self, data: str) -> None:
        """Presses a button below a message of the bot."""
        message = {**self.message(text="buttons"), "from": {"id": 42, "is_bot": True, "first_name": "Painter"}}
        sender = self.message()["from"]
        query = {
            "id": str(self.server.number()),
            "from": sender,
            "chat_instance": "1",
            "data": data,
            "message": message,
        }
        self.server.update(callback_query=query)

    def photo(self, content: bytes, size: tuple[int, int] = (64, 48)) -> dict[str, Any]:
        """The content of a message with a photo, in two sizes."""
        small = {"file_id": self.server.store(b"small"), "file_unique_id": "s", "width": 8, "height": 6, "file_size": 5}
        large = {"file_id": self.server.store(content, name="photos/1.jpg"), "file_unique_id": "l"}
        return {"photo": [small, {**large, "width": size[0], "height": size[1], "file_size": len(content)}]}

    def document(self, content: bytes, name: str | None, mime_type: str | None = None, **about: Any) -> dict[str, Any]:
        """The content of a message with a file."""
        found = {"file_name": name, "mime_type": mime_type, "file_size": len(content), **about}
        file_id = self.server.store(content)
        told = {key: value for key, value in found.items() if value is not None}
        return {"document": {"file_id": file_id, "file_unique_id": file_id, **told}}

    def video(self, content: bytes, kind: str = "video", seconds: int = 1, **about: Any) -> dict[str, Any]:
        """The content of a message with a video, an animation or a video note."""
        file_id = self.server.store(content)
        sides = {"length": 64} if kind == "video_note" else {"width": 64, "height": 48}
        told = {"file_size": len(content), "duration": seconds, **sides, **about}
        return {kind: {"file_id": file_id, "file_unique_id": file_id, **told}}

    def gets(self, method: str, seconds: float = PATIENCE) -> Call:
        """Waits for the next answer to this person, which is of this method."""
        answers = self.server.wait(self._is_answer, self._seen + 1, seconds)
        answer = answers[self._seen]
        self._seen += 1
        assert answer.method == method, answer
        return answer

    def is_told(self) -> str:
        """Waits for the next answer to this person, which is a text; returns that."""
        return self.gets("sendMessage").text

    @property
    def unread(self) -> int:
        """Answers that came, and were not looked at."""
        return len([call for call in self.server.calls if self._is_answer(call)]) - self._seen

    def _is_answer(self, call: Call) -> bool:
        return call.chat == self.id and call.method != "sendChatAction"
