"""Archives: what is written is valid and comes back as it was, and no bytes make the validator fail."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

from monet.archive import member_names, same_name, validate, writing
from tests.campaign.fuzz import mutated, outcome_of, seeds
from tests.conftest import picture
from tests.properties import EXAMPLES, holds

pytest.importorskip("hypothesis")
from hypothesis import strategies as st

STEMS = st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=300)


def jpeg(seed: int) -> bytes:
    file = io.BytesIO()
    picture(seed, (8, 8)).save(file, "JPEG")
    return file.getvalue()


JPEGS = [jpeg(seed) for seed in range(5)]


@EXAMPLES
def test_an_archive_of_photos_of_any_names_is_valid_and_comes_back(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "a.zip"

    def check(stems: list[str], pictures: list[bytes]) -> None:
        names = member_names([Path(f"{stem}.png") for stem in stems])
        assert len({same_name(name) for name in names}) == len(names)
        files = [(name, pictures[number % len(pictures)]) for number, name in enumerate(names)]
        with writing(path) as archive:
            for name, data in files:
                archive.add(name, data)
        found = validate(path, "any", workers=1)
        assert (found.problems, found.num_images) == ([], len(files))
        with zipfile.ZipFile(path) as read:
            assert [(name, read.read(name)) for name in read.namelist()] == files

    names = st.lists(STEMS, min_size=1, max_size=8)
    holds(check, names, st.lists(st.sampled_from(JPEGS), min_size=1), examples=examples)


@EXAMPLES
def test_any_bytes_are_an_archive_or_refused(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "a.zip"

    def check(data: bytes, rules: str) -> None:
        path.write_bytes(data)
        assert outcome_of(path, "any" if rules == "any" else "kaggle").startswith(("refused: ", "not valid: "))

    holds(check, st.binary(max_size=300), st.sampled_from(["any", "kaggle"]), examples=examples)


@EXAMPLES
def test_damaged_archives_are_valid_or_not_and_other_readers_agree(tmp_path: Path, examples: int) -> None:
    path, whole = tmp_path / "a.zip", seeds()

    def check(which: int, other: int, seed: int) -> None:
        path.write_bytes(mutated(whole[which], whole[other], random.Random(seed)))
        assert outcome_of(path, "any").split(":")[0] in ("valid", "not valid", "refused")

    places = st.integers(0, len(whole) - 1)
    holds(check, places, places, st.integers(0, 2**64), examples=8 * examples)
