"""Which styles there are, and which one somebody has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from monet.serving.bot.choices import Choice
from monet.serving.bot.styles import Style, Styles
from monet.serving.bot.texts import Declined
from monet.serving.models import Models

PAINTER = [Style("painter", "ab", False), Style("painter", "ba", False)]
SKETCH = Style("sketch", "ab", True)


@pytest.fixture
def files(checkpoint: Path, one_way: Path, tmp_path: Path) -> list[Path]:
    return [Path(shutil.copy(path, tmp_path)) for path in (checkpoint, one_way)]


def test_every_model_is_offered_in_every_direction_that_it_has_learned(files: list[Path]) -> None:
    assert Styles(Models(files)).offered() == [*PAINTER, SKETCH]
    assert [style.label for style in (*PAINTER, SKETCH)] == ["painter →", "painter ←", "sketch"]


def test_the_key_of_a_style_does_not_depend_on_what_else_is_offered(files: list[Path]) -> None:
    alone = Styles(Models(files[1:])).offered()
    assert [style.key for style in alone] == [SKETCH.key]
    keys = {style.key for style in (*PAINTER, SKETCH)}
    assert len(keys) == 3
    assert {len(key) for key in keys} == {16}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(), PAINTER[0]),
        (Choice(model="painter", direction="ba"), PAINTER[1]),
        (Choice(model="sketch"), SKETCH),
        (Choice(model="sketch", direction="ba"), PAINTER[0]),
        (Choice(model="gone"), PAINTER[0]),
    ],
)
def test_somebody_has_the_style_that_was_chosen_or_the_first_one(
    files: list[Path], choice: Choice, expected: Style
) -> None:
    assert Styles(Models(files)).of(choice) == expected


def test_a_model_whose_file_is_gone_is_not_offered(files: list[Path]) -> None:
    styles = Styles(Models(files))
    files[0].unlink()
    assert styles.offered() == [SKETCH]
    assert styles.of(Choice(model="painter")) == SKETCH


def test_a_model_that_learned_more_is_looked_at_again(files: list[Path]) -> None:
    styles = Styles(Models(files))
    styles.offered()
    shutil.copy(files[1], files[0])
    assert styles.offered() == [Style("painter", "ab", True), SKETCH]


def test_where_there_is_no_model_yet_there_is_no_style(tmp_path: Path) -> None:
    styles = Styles(Models([], [tmp_path]))
    assert styles.offered() == []
    with pytest.raises(Declined, match="no model"):
        styles.of(Choice())


def test_no_more_of_a_path_is_shown_than_is_needed() -> None:
    assert Style("/srv/private/place/first/monet.pt", "ab", True).label == "first/monet.pt"
    assert len(Style("m" * 300, "ab", False).label) <= 62
