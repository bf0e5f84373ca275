"""What people send comes back painted, as it came."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from monet.data.video import Video
from monet.serving.bot.texts import Texts
from tests.serving.bot.conftest import Bot
from tests.serving.bot.material import blank, image, video
from tests.serving.bot.server import PATIENCE, Person, TelegramServer, refusal

People = Callable[..., Person]
Translated = Callable[..., bytes]
EN = Texts().of("en")


def actions(person: Person) -> set[str]:
    """What somebody was shown that the bot does."""
    calls = person.server.calls
    return {call.fields["action"] for call in calls if (call.method, call.chat) == ("sendChatAction", person.id)}


def test_a_photo_comes_back_as_a_photo_painted_from_its_largest_size(ann: Person, translated: Translated) -> None:
    given = image(1)
    update = ann.sends(**ann.photo(given))
    answer = ann.gets("sendPhoto")
    assert answer.attached("photo") == ("photo.jpg", translated(given, "photo.jpg"))
    assert json.loads(answer.fields["reply_parameters"])["message_id"] == update["message"]["message_id"]
    assert actions(ann) == {"upload_photo"}


@pytest.mark.parametrize(
    ("name", "mime_type", "kind", "painting"),
    [
        ("büro 1.png", "image/png", "PNG", "büro 1.png"),
        ("scan.TIF", None, "TIFF", "scan.TIF"),
        ("dot.gif", "image/gif", "GIF", "dot.png"),
        ("web.webp", "application/octet-stream", "WEBP", "web.webp"),
        ("clip.mp4", "image/png", "PNG", "clip.png"),
        (None, "image/jpeg", "JPEG", "picture.jpg"),
        ('a"b\r\nc/../d.jpg', "image/jpeg", "JPEG", "a_b_c_.._d.jpg"),
    ],
)
def test_a_picture_sent_as_a_file_comes_back_as_a_file_with_the_bytes_of_translate(
    ann: Person, translated: Translated, name: str | None, mime_type: str | None, kind: str, painting: str
) -> None:
    given = image(2, kind)
    ann.sends(**ann.document(given, name, mime_type))
    answer = ann.gets("sendDocument")
    ending = {"dot.png": ".gif", "clip.png": ".png"}.get(painting, Path(painting).suffix)
    assert answer.attached("document") == (painting, translated(given, f"given{ending}"))
    assert answer.fields["disable_content_type_detection"] == "true"


def test_an_album_of_photos_comes_back_as_one_album_in_the_order_of_its_messages(
    ann: Person, translated: Translated
) -> None:
    given = [image(seed) for seed in range(4)]
    messages = [ann.message(media_group_id="7", **ann.photo(content)) for content in given]
    for message in [messages[2], messages[0], messages[3], messages[1]]:
        ann.server.update(message=message)
    answer = ann.gets("sendMediaGroup")
    assert answer.album == [("photo", "photo.jpg", translated(content, "photo.jpg")) for content in given]
    assert json.loads(answer.fields["reply_parameters"])["message_id"] == messages[0]["message_id"]
    assert ann.unread == 0


def test_an_album_of_a_photo_and_a_video_comes_back_as_both(
    ann: Person, translated: Translated, tmp_path: Path
) -> None:
    photo, clip = image(5), video(tmp_path)
    ann.sends(media_group_id="8", **ann.video(clip))
    ann.sends(media_group_id="8", **ann.photo(photo))
    (first, _, painted), second = ann.gets("sendMediaGroup").album
    assert (first, *second) == ("video", "photo", "photo.jpg", translated(photo, "photo.jpg"))
    assert frames(painted, tmp_path) == 6


def test_parts_of_an_album_that_cannot_be_painted_are_told_and_the_others_are_painted(
    ann: Person, translated: Translated
) -> None:
    given = image(3, "PNG"), image(4)
    ann.sends(media_group_id="9", **ann.document(given[0], "one.png"))
    ann.sends(media_group_id="9", **ann.document(b"%PDF-1.7", "two.pdf", "application/pdf"))
    ann.sends(media_group_id="9", **ann.document(given[1], "three.jpg"))
    ann.sends(media_group_id="9", **ann.document(b"<html>", "four.jpg"))
    assert ann.gets("sendMediaGroup").album == [
        ("document", "one.png", translated(given[0], "one.png")),
        ("document", "three.jpg", translated(given[1], "three.jpg")),
    ]
    assert ann.is_told() == f"{EN('parts')}\n2. {EN('other')}\n4. {EN('no picture')}"


def test_an_album_of_which_one_part_can_be_painted_comes_back_as_that(ann: Person, translated: Translated) -> None:
    given = image(6)
    ann.sends(media_group_id="10", **ann.photo(given))
    ann.sends(media_group_id="10", **ann.photo(b"no photo"))
    assert ann.gets("sendPhoto").attached("photo")[1] == translated(given, "photo.jpg")
    assert ann.is_told() == f"{EN('parts')}\n2. {EN('no picture')}"


def test_an_album_of_which_nothing_can_be_painted_is_answered_in_one_message(ann: Person) -> None:
    for name in ("one.pdf", "two.zip"):
        ann.sends(media_group_id="11", **ann.document(b"1", name))
    assert ann.is_told() == f"{EN('parts')}\n1. {EN('other')}\n2. {EN('other')}"


def frames(content: bytes, folder: Path) -> int:
    """How many frames a video has."""
    (folder / "painted.mp4").write_bytes(content)
    with Video(folder / "painted.mp4") as found:
        return len(list(found.frames()))


@pytest.mark.parametrize(
    ("kind", "method", "field", "action"),
    [
        ("video", "sendVideo", "video", "upload_video"),
        ("animation", "sendAnimation", "animation", "upload_video"),
        ("video_note", "sendVideoNote", "video_note", "upload_video"),
    ],
)
def test_a_short_video_comes_back_as_what_it_was(
    ann: Person, translated: Translated, tmp_path: Path, kind: str, method: str, field: str, action: str
) -> None:
    given = video(tmp_path)
    ann.sends(**ann.video(given, kind))
    answer = ann.gets(method)
    assert answer.attached(field)[1] == translated(given, "clip.mp4")
    assert answer.fields["duration"] == "1"
    assert actions(ann) == {action}


def test_a_video_sent_as_a_file_comes_back_as_a_file(ann: Person, translated: Translated, tmp_path: Path) -> None:
    given = video(tmp_path)
    ann.sends(**ann.document(given, "holiday.avi", "video/x-msvideo"))
    assert ann.gets("sendDocument").attached("document") == ("holiday.mp4", translated(given, "clip.mp4"))


@pytest.mark.parametrize("language", ["en", "ru", "de"])
def test_what_cannot_be_painted_is_answered_with_what_can(person: People, language: str) -> None:
    somebody = person(language)
    voice = {"file_id": "v", "file_unique_id": "v", "duration": 1}
    sticker = {"file_id": "s", "file_unique_id": "s", "type": "regular", "width": 1, "height": 1}
    contents: list[dict[str, Any]] = [
        {"text": "paint me a horse"},
        {"text": "/paint"},
        {"voice": voice},
        {"sticker": {**sticker, "is_animated": False, "is_video": False}},
        {"location": {"latitude": 1.0, "longitude": 2.0}},
        somebody.document(b"%PDF", "paper.pdf", "application/pdf"),
    ]
    for content in contents:
        somebody.sends(**content)
        assert somebody.is_told() == Texts().of(language)("other")


def test_a_caption_that_looks_like_a_command_is_none(ann: Person) -> None:
    ann.sends(caption="/start", **ann.photo(image(1)))
    assert ann.gets("sendPhoto").attached("photo")[0] == "photo.jpg"


def fetched(server: TelegramServer, update: dict[str, object]) -> bool:
    """Whether anything of a message was asked for."""
    whole = json.dumps(update)
    return any(call.fields["file_id"] in whole for call in server.calls if call.method in ("getFile", "download"))


def test_what_is_too_large_by_telegrams_own_account_is_told_before_it_is_fetched(ann: Person, tmp_path: Path) -> None:
    large = ann.sends(**ann.document(b"1", "large.png", file_size=21_495_808))
    assert ann.is_told() == "This file is too large: 20.5 MB. Send at most 1 MB."
    long = ann.sends(**ann.video(video(tmp_path), seconds=61))
    assert ann.is_told() == "This video is too long: 61 s. Send at most 4 s."
    assert not fetched(ann.server, large)
    assert not fetched(ann.server, long)


def test_a_file_that_is_larger_than_it_said_is_fetched_no_further_than_allowed(ann: Person) -> None:
    given = ann.document(b"1" * 30_000_000, "large.png", file_size=10)
    ann.server.stored[given["document"]["file_id"]].told = 10
    ann.sends(**given)
    said = ann.is_told()
    assert said.startswith("This file is too large: 1")
    assert said.endswith(" MB. Send at most 1 MB.")


def test_a_file_that_telegram_does_not_hand_out_is_too_large(ann: Person) -> None:
    ann.server.trouble["getFile"].append(refusal(400, "Bad Request: file is too big"))
    ann.sends(**ann.document(image(1), "photo.jpg"))
    assert ann.is_told() == "This file is too large: 0.0 MB. Send at most 20 MB."


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"<!doctype html><title>no picture</title>", "page.jpg", EN("no picture")),
        (b"", "empty.png", EN("no picture")),
        (image(1)[:300], "half.jpg", EN("no picture")),
        (b"no video", "clip.mp4", EN("no video")),
        (
            blank((30_000, 20)),
            "wide.png",
            "These are too many pixels: 30,000 × 20. Send at most 0.5 million, and 12,000 a side.",
        ),
        (
            blank((800, 700)),
            "many.png",
            "These are too many pixels: 800 × 700. Send at most 0.5 million, and 12,000 a side.",
        ),
    ],
    ids=["html", "empty", "half", "no video", "wide", "many"],
)
def test_what_cannot_be_read_is_told_in_one_line(ann: Person, content: bytes, name: str, said: str) -> None:
    ann.sends(**ann.document(content, name))
    assert ann.is_told() == said


def test_a_video_that_is_longer_than_it_said_is_told(ann: Person, tmp_path: Path) -> None:
    ann.sends(**ann.document(video(tmp_path, frames=125), "long.mp4"))
    assert ann.is_told() == "This video is too long: 5 s. Send at most 4 s."


def test_groups_are_left_alone(person: People, ann: Person) -> None:
    group = person(chat_type="supergroup")
    group.says("/start@painter_bot")
    group.sends(**group.photo(image(1)))
    group.presses("strength:50")
    ann.sends(**ann.photo(image(1)))  # which comes later, and is answered
    ann.gets("sendPhoto")
    assert [call for call in group.server.calls if call.chat == -group.id] == []


def test_an_update_that_comes_twice_is_answered_once(ann: Person, translated: Translated) -> None:
    given = image(8), image(9)
    update = ann.sends(**ann.photo(given[0]))
    ann.server.repeat(update, update)
    assert ann.gets("sendPhoto").attached("photo")[1] == translated(given[0], "photo.jpg")
    ann.server.repeat(update)
    ann.sends(**ann.photo(given[1]))
    assert ann.gets("sendPhoto").attached("photo")[1] == translated(given[1], "photo.jpg")
    assert ann.unread == 0


def test_who_comes_later_is_told_the_place_in_the_queue_and_too_many_at_once_are_refused(
    person: People, translated: Translated
) -> None:
    first, second = person("de"), person("ru")
    given = [image(seed) for seed in range(5)]
    with first.server.holding("download"):
        content = first.photo(given[0])
        first.sends(**content)
        first.server.wait(lambda call: call.method == "download" and call.fields["file_id"] == photo_id(content))
        told = []
        for each in given[1:]:
            first.sends(**first.photo(each))
            told.append(first.is_told())
        second.sends(**second.photo(given[0]))
        assert second.is_told() == "Сначала другие. Перед вами в очереди: 2"
    assert told == [
        "Erst kommen andere dran. Vor dir in der Warteschlange: 1",
        "Erst kommen andere dran. Vor dir in der Warteschlange: 2",
        "Erst kommen andere dran. Vor dir in der Warteschlange: 3",
        Texts().of("de")("many waiting", most=3),
    ]
    painted = [first.gets("sendPhoto").attached("photo")[1] for _ in range(4)]
    assert painted == [translated(each, "photo.jpg") for each in given[:4]]
    assert second.gets("sendPhoto").attached("photo")[1] == painted[0]
    answers = [call.chat for call in first.server.calls if call.method == "sendPhoto"]
    assert answers[-5:] == [first.id, first.id, second.id, first.id, first.id]


def photo_id(content: dict[str, Any]) -> str:
    """The file of a photo's largest size."""
    return str(content["photo"][1]["file_id"])


def test_pictures_are_deleted_when_they_are_answered(ann: Person, bot: Bot) -> None:
    with ann.server.holding("sendPhoto"):
        ann.sends(**ann.photo(image(1)))
        ann.gets("sendPhoto")
        assert [path.name for path in bot.temporary.rglob("*.jpg")] == ["painting.jpg"]  # the photo is gone already
    end = time.monotonic() + PATIENCE
    while list(bot.temporary.glob("monet-bot-*")):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_strength_zero_gives_the_picture_back_and_half_is_between(ann: Person) -> None:
    given = image(9, "PNG")

    def painted(strength: int) -> NDArray[np.float32]:
        ann.command(f"/strength {strength}")
        assert ann.is_told() == f"Strength: {strength} %"
        ann.sends(**ann.document(given, "one.png"))
        with Image.open(io.BytesIO(ann.gets("sendDocument").attached("document")[1])) as picture:
            return np.asarray(picture, np.float32)

    with Image.open(io.BytesIO(given)) as picture:
        original = np.asarray(picture, np.float32)
    nothing, half, whole = painted(0), painted(50), painted(100)
    assert (nothing == original).all()
    assert np.abs(whole - original).max() > 10
    assert np.abs(half - (whole + original) / 2).max() <= 0.5
