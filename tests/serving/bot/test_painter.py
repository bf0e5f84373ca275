"""What is told where painting itself does not go well."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from monet.serving.bot import painter as module
from monet.serving.bot import sending
from monet.serving.bot.choices import Choices
from monet.serving.bot.incoming import Item
from monet.serving.bot.painter import Painter
from monet.serving.bot.styles import Styles
from monet.serving.bot.texts import Texts
from monet.serving.bot.work import Job
from monet.serving.limits import Limits
from monet.serving.models import Models
from tests.serving.bot.conftest import TOKEN
from tests.serving.bot.material import image, video
from tests.serving.bot.server import TelegramServer

EN = Texts().of("en")
CHAT = 5


def told(server: TelegramServer, models: Models, folder: Path, item: Item, limits: Limits | None = None) -> str:
    """Lets a painter answer somebody; returns the text that it sends, which is all."""

    async def answer() -> None:
        session = AiohttpSession(api=TelegramAPIServer.from_base(server.url))
        with ThreadPoolExecutor(1) as executor:
            painter = Painter(
                bot=Bot(TOKEN, session=session),
                models=models,
                styles=Styles(models),
                choices=Choices(folder / "choices.json"),
                limits=limits or Limits(),
                executor=executor,
            )
            await painter.answer(Job(chat=CHAT, reply_to=1, words=EN, parts=(item,)))
        await session.close()

    asyncio.run(answer())
    answers = [call for call in server.calls if call.method.startswith("send") and call.method != "sendChatAction"]
    (only,) = answers
    assert (only.method, only.chat) == ("sendMessage", CHAT)
    return only.text


@pytest.fixture
def models(checkpoint: Path) -> Models:
    return Models([checkpoint], device="cpu", precision="fp32")


def test_a_video_that_takes_too_long_is_told(own_server: TelegramServer, models: Models, tmp_path: Path) -> None:
    item = Item(kind="video", file_id=own_server.store(video(tmp_path)), name="clip.mp4")
    said = told(own_server, models, tmp_path, item, Limits(patience=0))
    assert said == "Painting this takes longer than 0 s. Send something shorter or smaller."


def test_a_painting_that_is_larger_than_a_bot_may_send_is_told(
    own_server: TelegramServer, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_MOST", 1000)
    item = Item(kind="picture file", file_id=own_server.store(image(1, "PNG", (640, 480))), name="photo.png")
    said = told(own_server, models, tmp_path, item)
    assert said.endswith(" MB, and I may send 0 MB. Send a smaller picture, or one as JPEG.")


def test_of_a_failure_of_the_machine_people_hear_nothing_and_the_log_has_it(
    own_server: TelegramServer,
    models: Models,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("CUDA out of memory in /srv/models\nand more")

    monkeypatch.setattr(logging.getLogger("monet"), "propagate", True)
    monkeypatch.setattr(module, "paint_picture", fails)
    item = Item(kind="photo", file_id=own_server.store(image(1)), name="photo.jpg")
    assert told(own_server, models, tmp_path, item) == EN("failed")
    assert caplog.messages == ["a painting failed: RuntimeError: CUDA out of memory in /srv/models"]


def test_a_model_that_is_gone_is_told_where_there_is_no_other(own_server: TelegramServer, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    item = Item(kind="photo", file_id=own_server.store(image(1)), name="photo.jpg")
    assert told(own_server, Models([], [tmp_path / "run"]), tmp_path, item) == EN("no model")
