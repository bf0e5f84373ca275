"""What people chose is there after a restart; a file that is something else is set aside."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from monet.errors import InputError
from monet.serving.bot import choices as module
from monet.serving.bot.choices import Choice, Choices


def test_choices_are_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "choices.json"
    first = Choices(path)
    assert first.of(1) == Choice(model=None, direction="ab", strength=100)
    assert first.change(1, model="monet", direction="ba") == Choice(model="monet", direction="ba")
    first.change(1, strength=40)
    first.change(2, model="büro\ud800")
    again = Choices(path)
    assert again.of(1) == Choice(model="monet", direction="ba", strength=40)
    assert again.of(2) == Choice(model="büro\ud800")
    assert again.of(3) == Choice()


WHOLE = {"monet bot choices": 1, "users": {"1": {"model": None, "direction": "ab", "strength": 40}}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[1, 2]",
        "[" * 100_000,
        '{"users": {}}',
        json.dumps({**WHOLE, "monet bot choices": 2}),
        json.dumps({**WHOLE, "users": []}),
        json.dumps({**WHOLE, "users": {"ann": WHOLE["users"]["1"]}}),  # type: ignore[index]
        json.dumps({**WHOLE, "users": {"1": {"model": None, "direction": "ab"}}}),
        json.dumps({**WHOLE, "users": {"1": {"model": None, "direction": "ac", "strength": 1}}}),
        json.dumps({**WHOLE, "users": {"1": {"model": None, "direction": "ab", "strength": 101}}}),
        json.dumps({**WHOLE, "users": {"1": {"model": None, "direction": "ab", "strength": True}}}),
        json.dumps({**WHOLE, "users": {"1": {"model": 3, "direction": "ab", "strength": 1}}}),
        json.dumps(WHOLE)[:-20],
    ],
)
def test_a_file_that_is_damaged_or_something_else_is_set_aside_with_a_warning(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("monet"), "propagate", True)
    path = tmp_path / "choices.json"
    path.write_text(content)
    (tmp_path / "choices.json.damaged").write_text("of an earlier time")
    choices = Choices(path)
    assert choices.of(1) == Choice()
    assert (tmp_path / "choices.json.damaged-2").read_text() == content
    assert (tmp_path / "choices.json.damaged").read_text() == "of an earlier time"
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{path} holds no choices (")
    choices.change(1, strength=7)
    assert Choices(path).of(1).strength == 7


def test_a_file_that_is_no_text_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    path.write_bytes(b"\xff\xfe\x00")
    assert Choices(path).of(1) == Choice()
    assert (tmp_path / "choices.json.damaged").read_bytes() == b"\xff\xfe\x00"


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path, pipe: Path) -> None:
    for place in (tmp_path, pipe):
        with pytest.raises(InputError):
            Choices(place)


def test_a_disk_that_is_full_later_is_logged_and_the_choice_holds_for_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("monet"), "propagate", True)
    path = tmp_path / "folder" / "choices.json"
    choices = Choices(path)
    (tmp_path / "folder").write_text("in the way")
    assert choices.change(1, strength=30).strength == 30
    assert choices.of(1).strength == 30
    assert caplog.messages[0].startswith("a choice will be forgotten with this process: cannot write ")


def test_those_who_chose_longest_ago_are_forgotten_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_USERS", 3)
    choices = Choices(tmp_path / "choices.json")
    for user in (1, 2, 3, 1, 4):
        choices.change(user, strength=user)
    assert [choices.of(user).strength for user in (1, 2, 3, 4)] == [1, 100, 3, 4]


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    Choices(tmp_path / "choices.json").change(1, strength=5)
    assert [path.name for path in tmp_path.iterdir()] == ["choices.json"]
