"""The studio as programs and proxies see it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, AuthenticationError
from PIL import Image

import monet
from monet.errors import InputError
from monet.serving.studio.server import Place, read_accounts
from monet.serving.studio.trying import _zipped
from pipelines import studio as command
from tests.conftest import picture
from tests.serving.studio.conftest import Started, studio, studio_process


def answer(url: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_paintings_are_zipped_in_any_year(tmp_path: Path) -> None:
    """Zips have dates from 1980 on, and the clock of a machine without a battery begins in 1970."""
    (tmp_path / "0.jpg").write_bytes(b"x")
    os.utime(tmp_path / "0.jpg", (0, 0))
    with zipfile.ZipFile(_zipped([tmp_path / "0.jpg"])) as archive:
        assert archive.namelist() == ["0.jpg"]


def painted(client: Any, photo: Path, *, model: str = "painter/last", direction: str = "ab") -> Path:
    found = client.predict(handle_file(str(photo)), model, direction, 0, 100, api_name="/translate")
    return Path(found)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp"])
def test_a_program_gets_the_bytes_that_translate_writes(
    client: Any, started: Started, tmp_path: Path, name: str
) -> None:
    picture(11, (90, 70)).save(tmp_path / name)
    monet.translate(started.run / "checkpoints" / "last.pt", tmp_path / name, tmp_path / "out", direction="ba")
    assert painted(client, tmp_path / name, direction="ba").read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_what_cannot_be_painted_is_told_in_one_line(client: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.jpg"
    page.write_text("<html><b>no picture</b></html>")
    wide = tmp_path / "wide.png"
    Image.new("1", (30_000, 200)).save(wide)
    for file, model, words in (
        (page, "painter/last", "this is not a readable picture"),
        (wide, "painter/last", "30,000 × 200 pixels are too many: send at most 4 million pixels, 12,000 a side"),
        (picture_file(tmp_path), "painter/<b>none", "no model is called 'painter/<b>none'"),
    ):
        with pytest.raises(AppError) as told:
            painted(client, file, model=model)
        assert words in str(told.value)
        assert "\n" not in str(told.value)
        assert "Traceback" not in str(told.value)


def test_a_file_of_more_than_the_limit_is_not_taken(client: Any, started: Started, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(50_000_000))
    with pytest.raises(Exception, match=r"(?i)size|413|too large"):
        painted(client, large)
    assert painted(client, picture_file(tmp_path)).exists()


def test_two_users_at_once_get_each_their_own_painting(started: Started, tmp_path: Path) -> None:
    photos = [tmp_path / f"{index}.png" for index in range(2)]
    for index, photo in enumerate(photos):
        picture(20 + index, (60 + index, 60)).save(photo)
    clients = [Client(started.address, verbose=False) for _ in photos]
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(lambda pair: [painted(*pair).read_bytes() for _ in range(5)], zip(clients, photos, strict=True))
        )
    monet.translate(started.run / "checkpoints" / "last.pt", tmp_path, tmp_path / "out")
    for photo, several in zip(photos, found, strict=True):
        assert several == [(tmp_path / "out" / photo.name).read_bytes()] * 5


def test_only_what_was_sent_or_painted_can_be_fetched(started: Started) -> None:
    for path in (
        "/etc/passwd",
        str(started.run / "config.yaml"),
        str(started.run / "checkpoints" / "last.pt"),
        "README.md",
    ):
        status, _, _ = answer(f"{started.address}/gradio_api/file={path}")
        assert status in (403, 404), path


def posted(url: str, values: object) -> tuple[int, bytes]:
    request = urllib.request.Request(url, json.dumps(values).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("name", ["private.png", "/dev/zero", "/etc/passwd", "pipe"])
def test_a_file_of_this_machine_is_not_taken_for_an_upload(started: Started, tmp_path: Path, name: str) -> None:
    picture(1, (32, 32)).save(tmp_path / "private.png")
    os.mkfifo(tmp_path / "pipe")
    file = {"path": str(tmp_path / name), "meta": {"_type": "gradio.FileData"}}
    code, body = posted(f"{started.address}/gradio_api/call/translate", {"data": [file, "painter/last", "ab", 0, 0]})
    assert code == 200
    event = json.loads(body)["event_id"]
    _, _, said = answer(f"{started.address}/gradio_api/call/translate/{event}")
    assert said.startswith(b"event: error"), said
    assert str(tmp_path).encode() not in said
    assert answer(f"{started.address}/health")[0] == 200


@pytest.mark.parametrize("address", ["http://192.0.2.1/x.png", "https://example.org/x.png", "ftp://192.0.2.1/x"])
def test_nothing_is_fetched_from_other_servers_for_whoever_asks(started: Started, address: str) -> None:
    file = {"path": address, "meta": {"_type": "gradio.FileData"}}
    values = {"data": [file, "painter/last", "ab", 0, 100]}
    assert posted(f"{started.address}/gradio_api/call/translate", values)[0] == 400
    assert posted(f"{started.address}/gradio_api/queue/join", values | {"fn_index": 0, "session_hash": "x"})[0] == 400
    for path in (f"file={address}", f"proxy={address}", f"file%3D{address}"):
        assert answer(f"{started.address}/gradio_api/{path}")[0] == 404


def test_requests_that_are_no_uploads_are_small(started: Started) -> None:
    assert posted(f"{started.address}/gradio_api/call/translate", {"data": ["x" * 5_000_000]})[0] == 413


def test_the_list_of_all_addresses_is_not_shown(started: Started) -> None:
    assert answer(f"{started.address}/openapi.json")[0] == 404


def test_arguments_out_of_range_are_told_in_the_words_of_the_call(client: Any, tmp_path: Path) -> None:
    photo = handle_file(str(picture_file(tmp_path)))
    for arguments, words in (
        (["painter/last", "up", 0, 100], "direction is 'up': give ab or ba"),
        (["painter/last", "ab", -1, 100], "longer_side is -1: give pixels"),
        (["painter/last", "ab", 0, 150], "strength is 150: give 0 to 100, in percent"),
    ):
        with pytest.raises(AppError) as told:
            client.predict(photo, *arguments, api_name="/translate")
        assert words in str(told.value)


def test_pages_forbid_the_browser_to_ask_other_servers(started: Started) -> None:
    status, headers, body = answer(started.address)
    assert status == 200
    policy = {name.lower(): value for name, value in headers.items()}["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy
    config = json.loads(answer(f"{started.address}/config")[2])
    assert not config.get("analytics_enabled")
    assert str(started.run) not in body.decode()


def test_health_is_told_without_a_password(tmp_path: Path, checkpoint: Path) -> None:
    accounts = tmp_path / "accounts"
    accounts.write_text("# who may come\nclaude:water:lilies\n")
    with studio(["--checkpoint", checkpoint, "--auth-file", accounts], tmp_path / "log") as (address, _):
        assert answer(f"{address}/health")[::2] == (200, b'{"status":"ok"}')
        assert answer(f"{address}/gradio_api/info")[0] == 401
        for wrong in (("claude", "water"), ("nobody", ""), ("", "")):
            with pytest.raises((AuthenticationError, ValueError)):
                Client(address, auth=wrong, verbose=False)
        client = Client(address, auth=("claude", "water:lilies"), verbose=False)
        assert painted(client, picture_file(tmp_path)).suffix == ".png"
    assert "lilies" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "names nobody"),
        ("a:b\na:c\n", "line 2: this name is there twice"),
        (" a:b", "line 1"),
        ("a:b\nhello\n", "line 2: give name:password"),
        (":x", "line 1"),
        ("x:", "line 1"),
    ],
)
def test_a_file_of_accounts_is_checked(tmp_path: Path, lines: str, words: str) -> None:
    (tmp_path / "accounts").write_text(lines)
    with pytest.raises(InputError, match=words):
        read_accounts(tmp_path / "accounts")


def test_places_know_whether_others_reach_them() -> None:
    assert Place().is_local
    assert Place(host="::1").is_local
    assert Place(host="localhost").is_local
    assert not Place(host="0.0.0.0").is_local
    assert not Place(host="studio.example").is_local


def test_wrong_use_is_one_line_that_says_what_to_do(started: Started, tmp_path: Path, capfd: Any) -> None:
    from pipelines._command import run_command

    port = started.address.rpartition(":")[2]
    for words, told in (
        ([], "no model to offer: give --checkpoint FILE, or --run DIR"),
        (["--run", str(tmp_path / "none")], "no run in"),
        (["--run", str(started.run), "--port", port], f"cannot listen on 127.0.0.1:{port}"),
        (["--run", str(started.run), "--port", "99999"], "cannot listen on 127.0.0.1:99999"),
        (["--run", str(started.run), "--host", "192.0.2.1"], "cannot listen on 192.0.2.1:7860"),
        (["--run", str(started.run), "--photos", str(tmp_path / "none")], "no folder"),
        (
            ["--run", str(started.run), "--photos", str(started.run / "checkpoints")],
            "is no folder of photos: epoch-0001",
        ),
        (["--run", str(started.run), "--root-path", "studio"], "--root-path is 'studio': begin it with /"),
        (["--run", str(started.run), "--waiting", "0"], "--waiting is 0: give at least 1"),
        (["--run", str(started.run), "--max-mb", "0"], "--max-mb is 0: give more than 0"),
        (["--run", str(started.run), "--auth-file", str(tmp_path)], "a folder"),
    ):
        assert run_command(command.main, words) == 2, words
        said = capfd.readouterr().err.strip().splitlines()
        assert len(said) == 1, said
        assert told in said[0]


def test_whoever_comes_when_the_queue_is_full_is_told_so(checkpoint: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    picture(1, (3000, 2000)).save(large)
    with studio(["--checkpoint", checkpoint, "--waiting", "1"], tmp_path / "log") as (address, _):
        client = Client(address, verbose=False)
        arguments = (handle_file(str(large)), "painter/last", "ab", 0, 100)
        jobs = [client.submit(*arguments, api_name="/translate") for _ in range(8)]
        errors = [str(error) for job in jobs if (error := job.exception(timeout=60))]
        assert errors
        assert len(errors) < len(jobs)
        assert all("queue" in error.lower() for error in errors)


def test_it_ends_by_a_signal_and_leaves_nothing_behind(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    with studio(["--checkpoint", checkpoint], tmp_path / "log", TMPDIR=str(tmp_path / "temporary")) as (
        address,
        process,
    ):
        client = Client(address, verbose=False)
        painted(client, picture_file(tmp_path))
        assert list((tmp_path / "temporary").iterdir())
    assert process.returncode == 143
    assert list((tmp_path / "temporary").glob("monet-studio-*")) == []
    assert (tmp_path / "log").read_text().strip().splitlines()[-1].startswith("SIGTERM")


def test_a_signal_while_it_starts_leaves_nothing_behind(checkpoint: Path, tmp_path: Path) -> None:
    process = studio_process(["--checkpoint", checkpoint], tmp_path / "log", TMPDIR=str(tmp_path))
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("monet-studio-*")):  # gradio's import is next, and takes a second or more
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert list(tmp_path.glob("monet-studio-*")) == []
    assert (tmp_path / "log").read_text() == "Ctrl-C: stopped\n"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_a_hang_up_ends_an_open_page_in_order(checkpoint: Path, tmp_path: Path) -> None:
    with studio(["--checkpoint", checkpoint], tmp_path / "log") as (address, process):
        assert answer(f"{address}/health")[0] == 200
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 129
    assert (tmp_path / "log").read_text().strip().splitlines()[-1] == "SIGHUP: stopped"
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.fixture
def proxy(started: Started) -> Iterator[str]:
    """A reverse proxy that shows the studio below /studio, as web servers do."""
    from aiohttp import ClientSession, web

    async def passed_on(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("connection",)}
        target = f"{upstream}/{request.match_info['path']}"
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, target, params=request.query, headers=headers, data=await request.read()
            ) as found,
        ):
            dropped = ("transfer-encoding", "connection", "content-length")
            kept = {name: value for name, value in found.headers.items() if name.lower() not in dropped}
            response = web.StreamResponse(status=found.status, headers=kept)
            await response.prepare(request)
            async for chunk in found.content.iter_any():
                await response.write(chunk)
            return response

    log = started.log.with_name("proxied")
    with studio(["--run", started.run, "--root-path", "/studio/"], log) as (upstream, _):
        loop, ready, place, runners = asyncio.new_event_loop(), threading.Event(), [], []

        async def serve() -> None:
            app = web.Application(client_max_size=2**30)
            app.router.add_route("*", "/studio/{path:.*}", passed_on)
            runner = web.AppRunner(app, shutdown_timeout=2)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            runners.append(runner)
            place.append(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
            ready.set()

        thread = threading.Thread(target=lambda: (loop.run_until_complete(serve()), loop.run_forever()), daemon=True)
        thread.start()
        assert ready.wait(10)
        yield f"http://127.0.0.1:{place[0]}/studio/"
        asyncio.run_coroutine_threadsafe(runners[0].cleanup(), loop).result(90)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def test_it_works_below_a_path_of_a_reverse_proxy(proxy: str, started: Started, tmp_path: Path) -> None:
    photo = picture_file(tmp_path)
    monet.translate(started.run / "checkpoints" / "last.pt", photo, tmp_path / "out")
    client = Client(proxy, verbose=False)
    assert painted(client, photo).read_bytes() == (tmp_path / "out" / photo.name).read_bytes()


@pytest.mark.slow
def test_two_hundred_requests_leave_memory_as_it_was(client: Any, started: Started, tmp_path: Path) -> None:
    process, photos = psutil.Process(started.process.pid), []
    for index in range(20):
        photos.append(tmp_path / f"{index}.jpg")
        picture(index, (300 + 37 * index, 200 + 53 * index)).save(photos[-1])
    sizes = []
    for index in range(200):
        painted(client, photos[index % len(photos)])
        sizes.append(process.memory_info().rss / 2**20)
    print(f"MiB after 20, 60, 100, 200 requests: {[round(sizes[index - 1]) for index in (20, 60, 100, 200)]}")
    assert sizes[199] - sizes[59] < 50


def picture_file(folder: Path) -> Path:
    path = folder / "photo.png"
    picture(5, (64, 48)).save(path)
    return path
