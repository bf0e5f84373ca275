"""Shards in a store like S3: fetched and sent, however the store feels."""

from __future__ import annotations

from pathlib import Path

import pytest

from monet.errors import InputError, MonetError
from monet.models import Generators
from monet.shards import store
from monet.shards.find import find_shards
from monet.shards.paint import PaintingOptions, painting
from monet.shards.translate import translate_shards
from tests.conftest import fill_folder
from tests.shards.bucket import bucket
from tests.shards.conftest import HereEngine, fill_shards, rows_of


def send(folder: Path, address: str) -> None:
    for path in folder.iterdir():
        with store.written(f"{address}/{path.name}") as file:
            file.write(path.read_bytes())


def test_a_store_with_moods_gets_every_picture_once(
    generators: Generators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = fill_shards(tmp_path / "in", 6, 3)
    options = PaintingOptions()
    with bucket(monkeypatch, share=0.3, seed=4) as moody:
        send(given, "s3://photos/in")
        shards = find_shards("s3://photos/in", "s3://photos/out")
        work = painting(generators, options, "s3://photos/out")
        found = translate_shards(work, shards, HereEngine())
        assert (found.shards, found.images, found.painted, found.complete) == (6, 18, 18, True)
        again = HereEngine()
        kept = translate_shards(work, shards, again)
        assert (kept.kept, again.done) == (6, [])
        results = {entry.name: store.read_bytes(entry.address) for entry in store.listed_below("s3://photos/out")}
        assert min(moody.moods[mood] for mood in ("busy", "dropped", "slow", "half")) > 0
    assert len([name for name in results if name.endswith(".json")]) == 6
    local = translate_shards(
        painting(generators, options, str(tmp_path / "out")), find_shards(str(given)), HereEngine()
    )
    assert local.complete
    for path in (tmp_path / "out").glob("*.parquet"):
        (tmp_path / "fetched").write_bytes(results[path.name])
        assert rows_of(tmp_path / "fetched") == rows_of(path)


def test_a_store_that_is_not_there_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_TRIES", 2)
    with bucket(monkeypatch):
        with pytest.raises(InputError, match="no files at s3://photos/in"):
            find_shards("s3://photos/in")
        with pytest.raises((InputError, MonetError), match="s3://other/in"):
            find_shards("s3://other/in")
        assert store.entry("s3://photos/nothing.parquet") is None


def test_a_store_is_looked_through_as_a_folder_is(
    generators: Generators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = fill_shards(tmp_path / "in", 2, 1)
    with bucket(monkeypatch):
        send(given, "s3://photos/in")
        for quality in (80, 90):
            work = painting(generators, PaintingOptions(quality=quality), "s3://photos/out")
            assert translate_shards(work, find_shards("s3://photos/in"), HereEngine()).complete
        with pytest.raises(InputError, match="2 checkpoints or settings"):
            find_shards("s3://photos/out")
        with pytest.raises(InputError, match="2 checkpoints or settings") as caught:
            find_shards("s3://photos/out/*.parquet")
        assert len(find_shards(str(caught.value).rpartition("such as ")[2].strip("'"))) == 2
        (one, two) = find_shards(f"s3://photos/out/*-{work.settings[:16]}.parquet")
        assert (one.name, two.name) == tuple(f"part-0{place}-{work.settings[:16]}" for place in (0, 1))
        assert one.address == f"s3://photos/out/{one.name}.parquet"
        with pytest.raises(InputError, match="no files match"):
            find_shards("s3://photos/out/*.tar")
        for nowhere in ("s3://none/out/*.parquet", "s3://photos/none/*.parquet"):
            with pytest.raises(InputError, match="no files match"):
                find_shards(nowhere)
        with pytest.raises(InputError, match="name the bucket"):
            find_shards("s3://phot*/out.parquet")
        send(fill_folder(tmp_path / "photos", 2, 0, (32, 32)), "s3://photos/in")
        with pytest.raises(InputError, match=r"holds shards .* and pictures"):
            find_shards("s3://photos/in")
        for domain in ("trainA", "trainB"):
            send(tmp_path / "photos", f"s3://photos/both/{domain}")
        with pytest.raises(InputError, match="both domains"):
            find_shards("s3://photos/both", direction=None)
        assert len(find_shards("s3://photos/both", direction="ba")[0].files) == 4
        send(tmp_path / "photos", "s3://photos/one/trainA")
        send(tmp_path / "photos", "s3://photos/one")
        assert len(find_shards("s3://photos/one", direction=None)[0].files) == 2
        send(tmp_path / "photos", "s3://photos/holiday [2019]")
        assert len(find_shards("s3://photos/holiday [2019]")[0].files) == 2
