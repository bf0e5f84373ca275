"""The studio and the bot: told to end, killed, stopped, sent nonsense, with models that are damaged beneath them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.campaign.harms import HARMS, NO_FILES
from tests.campaign.launch import ROOT, Running
from tests.campaign.stage import ADDRESS_SPACE, FILE_SIZE, MEGABYTE, OPEN_FILES, Case, Stage

TOKEN = "424242:AA-a_token_that_nobody_may_ever_read_01"
_SECRET = TOKEN.partition(":")[2]
_FIXED = ("--device", "cpu", "--precision", "fp32")
_STUDIO = ("studio", "--checkpoint", "run/checkpoints/last.pt", "--port", "0", *_FIXED)
_BOT = ("bot", "--checkpoint", "run/checkpoints/last.pt", "--token-file", "token", "--state", "state.json", *_FIXED)
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
_GRADIO, _AIOGRAM = ("gradio", "av"), ("aiogram",)
_SECONDS = 60.0
"""In which a door opens, or an answer comes."""
_MEMORY = 3 * 2**30


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: chooses moments, damage and nonsense.
    """
    yield from _models_of_the_studio()
    yield from _signals_to_the_studio(random.Random(seed))
    yield from _nonsense_to_the_studio(seed)
    yield from _models_beneath_the_studio(seed)
    yield from _limits()
    yield from _of_the_bot(seed)


def _wait(condition: Callable[[], object], running: Running, seconds: float = _SECONDS) -> bool:
    return running.wait_until(condition, seconds)


def _opened(stage: Stage, running: Running) -> int:
    """Waits until the page is there; returns its port, or 0 where it never was."""
    _wait(lambda: "studio at http://" in running.out and running.out.endswith("\n"), running)
    if "studio at http://" not in running.out:
        stage.flag(f"the studio did not open: {running.err[-300:]}")
        return 0
    return int(running.out.strip().rpartition(":")[2])


def _is_well(port: int) -> bool:
    """Whether the page answers."""
    answer = _sent(port, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return b'{"status":"ok"}' in answer


def _sent(port: int, data: bytes, seconds: float = 10.0) -> bytes:
    """Sends bytes to a port; returns what came back."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data)
        found = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                found += part
        return found
    return b""


def _ended(stage: Stage, running: Running, number: signal.Signals = signal.SIGTERM) -> None:
    running.send(number)
    stage.judge(running, {_CODES.get(number, -number)}, memory=_MEMORY, limit=30)


def _models_of_the_studio() -> Iterator[Case]:
    """What cannot be offered is refused before the page is there."""
    makers: dict[str, tuple[str, Callable[[Path], object]]] = {
        "an empty checkpoint": ("m.pt", lambda path: path.touch()),
        "an empty graph": ("m.onnx", lambda path: path.touch()),
        "an empty model file": ("m.safetensors", lambda path: path.touch()),
        "a page called a graph": ("m.onnx", lambda path: path.write_text("<html>")),
        "a graph that is a FIFO": ("m.onnx", os.mkfifo),
        "a graph that is a link to itself": ("m.onnx", lambda path: path.symlink_to("m.onnx")),
        "a graph that is a link to /dev/zero": ("m.onnx", lambda path: path.symlink_to("/dev/zero")),
        "a folder of nothing": ("m", os.mkdir),
        "a folder without permission": ("m", lambda path: path.mkdir(0)),
    }
    for name, (file, make) in makers.items():

        def play(stage: Stage, file: str = file, make: Callable[[Path], object] = make) -> None:
            make(stage.path(file))
            words = ("--checkpoint", file, "--port", "0", *_FIXED)
            stage.run("studio", *words, codes={2}, unprivileged=True, memory=_MEMORY)

        yield Case(f"doors/studio: {name}", play, libraries=(*_GRADIO, "onnxruntime", "safetensors"))


def _signals_to_the_studio(chance: random.Random) -> Iterator[Case]:
    for number in (*_CODES, signal.SIGKILL):

        def play(stage: Stage, number: signal.Signals = number) -> None:
            stage.needs("run")
            running = stage.start(*_STUDIO, fresh=True)
            port = _opened(stage, running)
            stage.expect(_is_well(port), "the page does not answer")
            _ended(stage, running, number)
            stage.expect(not _is_well(port), "somebody still answers")

        yield Case(f"doors/studio: {number.name} to an open page", play, libraries=_GRADIO)
    for number in _CODES:
        delay = chance.uniform(0.3, 6.0)

        def early(stage: Stage, number: signal.Signals = number, delay: float = delay) -> None:
            stage.needs("run")
            running = stage.start(*_STUDIO, fresh=True)
            until = time.monotonic() + delay
            _wait(lambda: time.monotonic() >= until, running)
            running.send(number)
            stage.judge(running, {_CODES[number]}, memory=_MEMORY, limit=30)

        yield Case(f"doors/studio: {number.name} as it starts", early, libraries=_GRADIO)

    def stopped(stage: Stage) -> None:
        stage.needs("run")
        running = stage.start(*_STUDIO, fresh=True)
        port = _opened(stage, running)
        running.send(signal.SIGSTOP)
        time.sleep(2)
        running.send(signal.SIGCONT)
        stage.expect(_is_well(port), "the page does not answer after a while of sleep")
        _ended(stage, running)

    yield Case("doors/studio: SIGSTOP and SIGCONT", stopped, libraries=_GRADIO)


_REQUESTS: dict[str, bytes] = {
    "no HTTP": b"hello\r\n\r\n",
    "nothing": b"",
    "a header without end": b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000,
    "a path of 100,000 letters": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "the way out of a folder": b"GET /gradio_api/file=../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "a file of this machine": b"GET /gradio_api/file=/etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a body that is no JSON": (
        b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
    ),
    "a body of deep lists": (
        b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100000\r\nConnection: close\r\n\r\n" + b"[" * 100_000
    ),
    "a length that is no number": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    "half a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx",
}


def _nonsense_to_the_studio(seed: int) -> Iterator[Case]:
    """The page is there for others, whatever one sends."""

    def play(stage: Stage) -> None:
        stage.needs("run")
        running = stage.start(*_STUDIO, fresh=True)
        port = _opened(stage, running)
        for name, request in _REQUESTS.items():
            answer = _sent(port, request, 2.0)
            stage.expect(b"root:" not in answer, f"{name}: it gives a file of this machine away")
            stage.expect(_is_well(port), f"{name}: the page does not answer any more")
        chance = random.Random(seed)
        for _ in range(200):
            _sent(port, chance.randbytes(chance.randint(1, 2000)), 0.05)
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        stage.expect(_is_well(port), "the page does not answer after 200 requests of noise and 100 silent ones")
        for connection in idle:
            connection.close()
        _ended(stage, running)

    yield Case(f"doors/studio: nonsense on its port, seed {seed}", play, libraries=_GRADIO)

    def taken(stage: Stage) -> None:
        stage.needs("run")
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            stage.run(*_STUDIO[:-5], str(port), *_FIXED, codes={2}, says=[str(port)], memory=_MEMORY, fresh=True)

    yield Case("doors/studio: its port is taken", taken, libraries=_GRADIO)


def _models_beneath_the_studio(seed: int) -> Iterator[Case]:
    """The file of a model is damaged while the page is open."""

    def play(stage: Stage) -> None:
        stage.needs("run")
        running = stage.start(*_STUDIO, "--run", "run", fresh=True)
        port = _opened(stage, running)
        path = stage.path("run/checkpoints/last.pt")
        whole, chance = path.read_bytes(), random.Random(seed)
        for name, harm in HARMS.items():
            path.write_bytes(harm(whole, chance))
            for page in (b"/", b"/config", b"/gradio_api/info"):
                _sent(port, b"GET " + page + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            stage.expect(_is_well(port), f"the page does not answer with {name} in its checkpoint")
        running.send(signal.SIGTERM)
        stage.judge(running, {143}, memory=_MEMORY, may_change=("run/*",), limit=30)

    yield Case(f"doors/studio: its checkpoint is damaged beneath it, seed {seed}", play, libraries=_GRADIO)


def _limits() -> Iterator[Case]:
    """Too little of something ends a door with a line, or lets it open."""
    limits: dict[str, dict[int, int]] = {
        "800 MB of addresses": {ADDRESS_SPACE: 800 * MEGABYTE},
        "3,000 MB of addresses": {ADDRESS_SPACE: 3000 * MEGABYTE},
        "24 open files": {OPEN_FILES: 24},
        "60 open files": {OPEN_FILES: 60},
        "files of 0 bytes": {FILE_SIZE: 0},
        "files of 500 bytes": {FILE_SIZE: 500},
    }
    for command, words, libraries in (("studio", _STUDIO, _GRADIO), ("bot", _BOT, _AIOGRAM)):
        for name, given in limits.items():

            def play(stage: Stage, words: Sequence[str] = words, given: dict[int, int] = given) -> None:
                stage.needs("run")
                stage.path("token").write_text(TOKEN)
                more = ("--api-server", "http://127.0.0.1:9") if words[0] == "bot" else ()
                running = stage.start(*words, *more, fresh=True, limits=given, streams=("null", "pipe", "pipe"))
                _wait(lambda: "studio at" in running.out, running)
                running.send(signal.SIGTERM)
                stage.judge(running, {1, 2, 143}, memory=_MEMORY, limit=30)

            yield Case(f"doors/{command} with {name}", play, libraries=libraries)


@contextlib.contextmanager
def _telegram(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server that speaks the Bot API, in a process of its own: this one has no threads, as it forks."""
    program = (
        "import sys, time\n"
        "from tests.serving.bot.server import TelegramServer\n"
        f"server = TelegramServer({TOKEN!r})\n"
        "server.start()\n"
        "print(server.url, flush=True)\n"
        "while sys.stdin.read(1): pass\n"
    )
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        yield server.stdout.readline().decode().strip(), server
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()


@contextlib.contextmanager
def _answering(answer: bytes) -> Iterator[str]:
    """A server that answers everything with the same bytes, in a process of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                with contextlib.suppress(OSError), connection:
                    connection.recv(65536)
                    connection.sendall(answer)
        os._exit(0)
    port = listener.getsockname()[1]
    listener.close()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _listening(stage: Stage, url: str, *words: str) -> Running:
    stage.needs("run")
    stage.path("token").write_text(TOKEN)
    return stage.start(*_BOT, "--api-server", url, "--health-file", "healthy", *words, fresh=True)


def _tells_nothing(stage: Stage) -> None:
    for outcome in stage.outcomes:
        stage.expect(_SECRET not in outcome.out + outcome.err, "it tells its token")


def _of_the_bot(seed: int) -> Iterator[Case]:
    for number in (*_CODES, signal.SIGKILL):

        def ended(stage: Stage, number: signal.Signals = number) -> None:
            with _telegram(stage.home) as (url, _):
                running = _listening(stage, url)
                stage.expect(_wait(stage.path("healthy").exists, running), "the bot does not listen")
                _ended(stage, running, number)
            _tells_nothing(stage)

        yield Case(f"doors/bot: {number.name} as it listens", ended, libraries=_AIOGRAM)

    def vanished(stage: Stage) -> None:
        with _telegram(stage.home) as (url, server):
            running = _listening(stage, url)
            stage.expect(_wait(stage.path("healthy").exists, running), "the bot does not listen")
            server.kill()
            time.sleep(5)
            stage.expect(not running.ended(), "the bot ended because Telegram was away for 5 s")
            _ended(stage, running)
        _tells_nothing(stage)

    yield Case("doors/bot: Telegram goes away", vanished, libraries=_AIOGRAM)
    chance = random.Random(seed)
    ok = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    answers = {
        "nothing": b"",
        "noise": chance.randbytes(3000),
        "no JSON": ok + b"hello",
        "a list": ok + b"[]",
        "deep lists": ok + b"[" * 100_000,
        "ok without a result": ok + b'{"ok": true}',
        "a result of another kind": ok + b'{"ok": true, "result": [[]]}',
        "bytes that are no text": ok + b'{"ok": true, "result": "\xff\xfe"}',
        "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
        "a redirection to itself": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "a huge number": ok + b'{"ok": true, "result": {"id": ' + b"9" * 5000 + b"}}",
    }
    for name, answer in answers.items():

        def nonsense(stage: Stage, answer: bytes = answer) -> None:
            stage.needs("run")
            stage.path("token").write_text(TOKEN)
            with _answering(answer) as url:
                stage.run(*_BOT, "--api-server", url, codes={1, 2}, memory=_MEMORY, fresh=True, limit=90)
            _tells_nothing(stage)

        yield Case(f"doors/bot: Telegram answers {name}", nonsense, libraries=_AIOGRAM)
    states: dict[str, Callable[[Path], object]] = {
        "noise": lambda path: path.write_bytes(os.urandom(300)),
        "deep lists": lambda path: path.write_text("[" * 100_000),
        "another program's": lambda path: path.write_text("{}"),
        "choices that cannot be": lambda path: path.write_text(
            json.dumps({"monet bot choices": 1, "users": {"x": {"model": 3, "direction": 7, "strength": -1}}})
        ),
    }
    for name, make in states.items():

        def state(stage: Stage, make: Callable[[Path], object] = make) -> None:
            make(stage.path("state.json"))
            with _telegram(stage.home) as (url, _):
                running = _listening(stage, url)
                stage.expect(_wait(stage.path("healthy").exists, running), "the bot does not listen")
                running.send(signal.SIGTERM)
                stage.judge(running, {143}, memory=_MEMORY, may_change=("state.json",), limit=30)
            stage.expect(stage.path("state.json.damaged").exists(), "what was there is lost")
            _tells_nothing(stage)

        yield Case(f"doors/bot: its choices are {name}", state, libraries=_AIOGRAM)
    for option in ("token", "state.json"):
        for name, make in NO_FILES.items():

            def of_a_kind(stage: Stage, option: str = option, make: Callable[[Path], object] = make) -> None:
                stage.needs("run")
                if option != "token":
                    stage.path("token").write_text(TOKEN)
                make(stage.path(option))
                words = ("--api-server", "http://127.0.0.1:9")
                stage.run(*_BOT, *words, codes={2}, unprivileged=True, memory=_MEMORY)
                _tells_nothing(stage)

            quick = (option, name) == ("token", "a FIFO")
            libraries = () if option == "token" else _AIOGRAM  # which comes later
            yield Case(f"doors/bot: its {option} is {name}", of_a_kind, libraries=libraries, quick=quick)
