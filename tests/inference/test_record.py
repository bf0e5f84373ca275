"""What a translation wrote into a folder is known after a kill at any moment, and nothing else is taken for it."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest

from monet.inference.record import NAME, Record
from monet.inference.sources import Source


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "a.png").write_bytes(b"an original")
    return Source(tmp_path / "a.png", PurePath("a.png"), "ab")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def completed(folder: Path, source: Source, text: bytes, settings: str = "settings") -> Path:
    """A file that is complete and noted, and has not its name yet."""
    whole = folder / "a.png.partial"
    whole.write_bytes(text)
    Record(folder, settings).note(source, source.name, whole, "the end is missing")
    return whole


def test_a_file_that_took_its_name_is_done(folder: Path, source: Source) -> None:
    completed(folder, source, b"translated").replace(folder / "a.png")
    record = Record(folder, "settings")
    assert record.is_done(source, source.name)
    assert record.has_written(source.name)
    assert record.damage(source.name) == "the end is missing"
    assert not Record(folder, "others").is_done(source, source.name)
    source.path.write_bytes(b"another original")
    assert not record.is_done(source, source.name)


def test_a_kill_before_the_name_is_taken_makes_no_other_file_ours(folder: Path, source: Source) -> None:
    completed(folder, source, b"translated")
    assert not Record(folder, "settings").has_written(source.name)
    (folder / "a.png").write_bytes(b"my own!!!!")
    record = Record(folder, "settings")
    assert not record.has_written(source.name)
    assert not record.is_done(source, source.name)


def test_a_kill_before_the_name_is_taken_leaves_the_earlier_file_known(folder: Path, source: Source) -> None:
    completed(folder, source, b"translated").replace(folder / "a.png")
    os.utime(folder / "a.png", ns=(1, 1))
    completed(folder, source, b"changed").replace(folder / "a.png")  # the one before was another's
    completed(folder, source, b"once more", settings="others")
    record = Record(folder, "others")
    assert record.has_written(source.name)
    assert not record.is_done(source, source.name)


def test_lines_that_are_none_are_left_out(folder: Path, source: Source) -> None:
    completed(folder, source, b"translated").replace(folder / "a.png")
    with open(folder / NAME, "a") as file:
        file.write('{"name": "a.png"}\n[]\n{"na')
    assert Record(folder, "settings").is_done(source, source.name)
