"""`paint_shard` and what stands around it: nothing lost, nothing twice, bad pictures told with a reason."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import os
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from monet.errors import InputError, MonetError
from monet.generation.translator import Translator
from monet.inference import sources
from monet.models import Generators
from monet.shards import store
from monet.shards.engine import Lost
from monet.shards.find import find_shards
from monet.shards.paint import Painter, Painting, PaintingOptions, painting
from monet.shards.rows import Stopped
from monet.shards.translate import TranslatedShards, translate_shards
from tests.conftest import FakeClock, fill_folder, picture
from tests.shards.conftest import HereEngine, fill_shards, jpeg, rows_of, write_parquet, write_tar


def work(generators: Generators, folder: Path | str, **options: object) -> Painting:
    return painting(generators, PaintingOptions(**options), str(folder))  # type: ignore[arg-type]


def translated(
    generators: Generators, given: Path | str, output: Path | str, *, size: int = 512, **options: object
) -> tuple[TranslatedShards, HereEngine]:
    engine = HereEngine()
    shards = find_shards(str(given), str(output), size=size)
    return translate_shards(work(generators, output, **options), shards, engine), engine


def results(folder: Path, pattern: str = "*.parquet") -> list[Path]:
    return sorted(folder.glob(pattern))


def test_pixels_are_those_of_the_translator_row_by_row(generators: Generators, tmp_path: Path) -> None:
    given = fill_shards(tmp_path / "in", 2, 5)
    found, _ = translated(generators, given, tmp_path / "out", suffix="png")
    assert (found.shards, found.images, found.painted, found.complete) == (2, 10, 10, True)
    translator = Translator(generators, device=torch.device("cpu"), precision="fp32")
    rows = [row for path in results(tmp_path / "out") for row in rows_of(path)]
    assert [row["id"] for row in rows] == list(range(10))
    for number, row in enumerate(rows):
        assert row["name"] == f"{number}.png"
        assert row["status"] == "ok"
        data = row["bytes"]
        assert isinstance(data, bytes)
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        with Image.open(io.BytesIO(jpeg(number))) as image:
            expected = translator.translate(np.asarray(image))
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.asarray(image), expected)


def test_a_batch_gives_what_single_pictures_give_whatever_their_sizes(generators: Generators, tmp_path: Path) -> None:
    sizes = [(32, 32), (40, 24), (32, 32), (24, 40), (40, 24), (32, 32), (33, 31)]
    files = [(place, f"{place}.png", jpeg(place, size)) for place, size in enumerate(sizes)]
    write_parquet(tmp_path / "in.parquet", files)
    pixels = []
    for batch in (1, 3, 16):
        translated(generators, tmp_path / "in.parquet", tmp_path / f"out{batch}", batch_size=batch)
        (result,) = results(tmp_path / f"out{batch}")
        rows = rows_of(result)
        assert [row["id"] for row in rows] == list(range(len(sizes)))
        pixels.append([np.asarray(Image.open(io.BytesIO(row["bytes"])), np.int16) for row in rows])  # type: ignore[arg-type]
    for other in pixels[1:]:
        for one, two in zip(pixels[0], other, strict=True):
            assert np.abs(one - two).max() <= 1  # another number of pictures may round the other way


def test_bad_pictures_are_rows_with_a_reason(generators: Generators, tmp_path: Path) -> None:
    files = [
        (10, "good.jpg", jpeg(0)),
        (11, "empty.jpg", b""),
        (12, "text.jpg", b"no picture"),
        (13, "half.jpg", jpeg(1)[:300]),
        (14, "missing.jpg", None),
        (15, "film.mp4", b"\0" * 50),
        (16, "../outside.jpg", jpeg(2)),
        (17, "", jpeg(3)),
    ]
    write_parquet(tmp_path / "in.parquet", files)
    found, _ = translated(generators, tmp_path / "in.parquet", tmp_path / "out")
    assert (found.images, found.painted, found.complete) == (8, 3, False)
    (result,) = results(tmp_path / "out")
    status = {row["id"]: row["status"] for row in rows_of(result)}
    assert status == {
        10: "ok",
        11: "empty file",
        12: "not an image",
        13: "truncated",
        14: "could not be fetched",
        15: "a video: translate it without --engine",
        16: "ok",  # in Parquet a name is but a text
        17: "ok",
    }
    assert any("half.jpg' in" in line and "(truncated)" in line for line in found.lines("out"))


def test_bytes_that_are_not_those_of_their_digest_are_told(generators: Generators, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    data = jpeg(0)
    table = pyarrow.table({"id": [1, 2], "name": ["a.jpg", "b.jpg"], "bytes": [data, data], "sha256": ["0" * 64, None]})
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    found, _ = translated(generators, tmp_path / "in.parquet", tmp_path / "out")
    assert (found.images, found.painted) == (2, 1)
    assert "not those of its sha256" in found.bad[0]


def test_what_is_done_is_not_done_again_and_a_changed_shard_is(generators: Generators, tmp_path: Path) -> None:
    given = fill_shards(tmp_path / "in", 3, 2)
    first, _ = translated(generators, given, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in results(tmp_path / "out")}
    (tmp_path / "out" / "manifest" / f"{sorted(before)[1].removesuffix('.parquet')}.json").unlink()
    write_parquet(given / "part-02.parquet", [(4, "4.jpg", jpeg(40)), (5, "5.jpg", jpeg(50))])
    again, engine = translated(generators, given, tmp_path / "out")
    assert [shard.name for shard in engine.done] == ["part-01", "part-02"]  # type: ignore[attr-defined]
    assert (again.kept, again.shards, again.painted) == (1, 3, first.painted)
    after = {path.name: path.read_bytes() for path in results(tmp_path / "out")}
    assert sorted(after) == sorted(before)
    assert [after[name] == before[name] for name in sorted(after)] == [True, True, False]


def test_other_weights_or_settings_have_results_of_their_own(generators: Generators, tmp_path: Path) -> None:
    given = fill_shards(tmp_path / "in", 1, 2)
    for options in ({}, {"quality": 80}, {"direction": "ba"}):
        translated(generators, given, tmp_path / "out", **options)
    assert len(results(tmp_path / "out")) == 3
    one, two = (work(generators, "out", direction=direction) for direction in ("ab", "ba"))
    assert one.weights != two.weights
    assert one.weights == work(generators, "elsewhere", quality=1).weights


def test_manifest_rows_say_what_was_done(generators: Generators, tmp_path: Path) -> None:
    write_parquet(tmp_path / "in.parquet", [(0, "a.jpg", jpeg(0)), (1, "b.jpg", b"x")])
    translated(generators, tmp_path / "in.parquet", tmp_path / "out")
    (path,) = (tmp_path / "out" / "manifest").glob("*.json")
    row = json.loads(path.read_text())
    (result,) = results(tmp_path / "out")
    assert row["output"] == result.stem == path.stem
    assert (row["images"], row["painted"], row["bad"]) == (2, 1, [["b.jpg", "not an image"]])
    assert row["bytes"] == len(rows_of(result)[0]["bytes"])  # type: ignore[arg-type]
    assert row["weights"] == work(generators, "out").weights
    digits = result.stem.rpartition("-")[2]
    assert row["settings"].startswith(digits)
    about = json.loads((tmp_path / "out" / "manifest" / f"{digits}.settings").read_text())
    assert (about["weights"], about["precision"], about["quality"]) == (row["weights"], "fp32", 95)
    assert about["model"]["width"] == 4


@pytest.mark.parametrize("damage", ["{", "[]", '{"shard": 1}', "\0" * 9, "[" * 100_000])
def test_a_damaged_manifest_row_counts_as_none(generators: Generators, tmp_path: Path, damage: str) -> None:
    given = fill_shards(tmp_path / "in", 1, 1)
    translated(generators, given, tmp_path / "out")
    (row,) = (tmp_path / "out" / "manifest").glob("*.json")
    good = row.read_bytes()
    row.write_text(damage)
    found, engine = translated(generators, given, tmp_path / "out")
    assert (len(engine.done), found.complete) == (1, True)
    new, old = (json.loads(text) for text in (row.read_bytes(), good))
    assert {**new, "seconds": 0} == {**old, "seconds": 0}


def test_a_tar_goes_in_and_comes_out(generators: Generators, tmp_path: Path) -> None:
    files = [("a/1.jpg", jpeg(1)), ("a/1.json", b"{}"), ("../2.jpg", jpeg(2)), ("a/1.gif", jpeg(3)), ("3.jpg", b"")]
    write_tar(tmp_path / "in" / "x.tar", files)
    found, _ = translated(generators, tmp_path / "in", tmp_path / "out")
    assert (found.images, found.painted) == (4, 2)
    import tarfile

    (result,) = results(tmp_path / "out", "*.tar")
    with tarfile.open(result) as archive:
        assert archive.getnames() == ["a/1.jpg", "a/1.png"]
    assert any("leads outside" in line for line in found.bad)


def test_a_folder_is_cut_into_shards_and_keeps_its_tree(generators: Generators, tmp_path: Path) -> None:
    given = fill_folder(tmp_path / "in", 5, 0, (32, 32))
    (given / "deep").mkdir()
    picture(9, (40, 30)).save(given / "deep" / "büro.png")
    (given / "notes.txt").write_text("mine")
    (given / "film.mp4").write_bytes(b"\0" * 100)
    found, engine = translated(generators, given, tmp_path / "out", size=4)
    assert (len(engine.done), found.images, found.painted) == (2, 6, 6)
    (made,) = [path for path in (tmp_path / "out").iterdir() if path.name != "manifest"]
    names = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    assert names == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "deep/büro.png"]
    with Image.open(made / "deep" / "büro.png") as image:
        assert image.size == (40, 30)
    again, engine = translated(generators, given, tmp_path / "out", size=4)
    assert (again.kept, engine.done) == (2, [])


def test_a_folder_becomes_parquet_and_parquet_a_folder(generators: Generators, tmp_path: Path) -> None:
    given = fill_folder(tmp_path / "in", 3, 0, (32, 32))
    translated(generators, given, tmp_path / "packed", kind="parquet")
    (packed,) = results(tmp_path / "packed")
    assert [row["name"] for row in rows_of(packed)] == ["0.jpg", "1.jpg", "2.jpg"]
    translated(generators, packed, tmp_path / "out", kind="folder")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.jpg")) == ["0.jpg", "1.jpg", "2.jpg"]


def test_photos_that_vanish_or_change_meanwhile_are_told(generators: Generators, tmp_path: Path) -> None:
    given = fill_folder(tmp_path / "in", 4, 0, (32, 32))
    shards = find_shards(str(given), None)
    (given / "1.jpg").unlink()
    (given / "2.jpg").write_bytes(b"other")
    (given / "3.jpg").unlink()
    os.mkfifo(given / "3.jpg")
    found = translate_shards(work(generators, tmp_path / "out"), shards, HereEngine())
    assert (found.images, found.painted) == (4, 1)
    assert ["no such file" in found.bad[0], "not an image" in found.bad[1], "named pipe" in found.bad[2]] == [True] * 3


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "no parquet file"), (b"PAR1 not PAR1", "no parquet file"), (b"\xff" * 4000, "no parquet file")],
)
def test_a_damaged_shard_is_told_and_the_others_are_done(
    generators: Generators, tmp_path: Path, content: bytes, said: str
) -> None:
    given = fill_shards(tmp_path / "in", 2, 1)
    (given / "part-00.parquet").write_bytes(content)
    found, _ = translated(generators, given, tmp_path / "out")
    assert (found.painted, len(found.lost), found.complete) == (1, 1, False)
    assert said in found.lost[0].lower()
    assert len(results(tmp_path / "out")) == 1
    again, engine = translated(generators, given, tmp_path / "out")  # what failed is tried again
    assert (again.kept, len(engine.done)) == (1, 1)


def test_no_flipped_bit_of_a_shard_gives_other_pixels_in_silence(generators: Generators, tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "in.parquet", [(place, f"{place}.png", jpeg(place)) for place in range(3)])
    whole = source.read_bytes()
    translated(generators, source, tmp_path / "right")
    (right,) = results(tmp_path / "right")
    expected = rows_of(right)
    random = np.random.default_rng(17)
    survived = 0
    for number in range(60):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << random.integers(8)
        path = tmp_path / f"flip{number}" / "in.parquet"
        path.parent.mkdir()
        path.write_bytes(damaged if number % 2 else damaged[: random.integers(len(whole))])
        found, _ = translated(generators, path, tmp_path / f"out{number}")
        for result in results(tmp_path / f"out{number}"):
            rows = {row["id"]: row for row in rows_of(result)}
            good = [row for row in expected if row["id"] in rows and rows[row["id"]]["status"] == "ok"]
            assert all(rows[row["id"]]["bytes"] == row["bytes"] for row in good)
            survived += found.complete
    assert survived < 10  # few bits say nothing: those of statistics and of names


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"name": ["a"], "bytes": [b"x"]}, "no column id"),
        ({"id": ["a"], "name": ["a"], "bytes": [b"x"]}, "column id is"),
        ({"id": [1], "name": [2], "bytes": [b"x"]}, "column name is"),
        ({"id": [1], "name": ["a"], "bytes": ["x"]}, "column bytes is"),
    ],
)
def test_a_shard_with_other_columns_is_told(
    generators: Generators, tmp_path: Path, columns: dict[str, list[object]], said: str
) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "in.parquet")
    found, _ = translated(generators, tmp_path / "in.parquet", tmp_path / "out")
    assert said in found.lost[0]


def test_no_result_replaces_an_original_or_another_result(generators: Generators, tmp_path: Path) -> None:
    given = fill_shards(tmp_path / "in", 1, 1)
    with pytest.raises(InputError, match="folder of the originals"):
        translated(generators, given, given)
    write_tar(given / "part-00.tar", [("a.jpg", jpeg(1))])
    with pytest.raises(InputError, match="two shards called 'part-00'"):
        translated(generators, given, tmp_path / "out", kind="parquet")
    (given / "part-00.tar").unlink()
    with pytest.raises(InputError, match="folder of the originals"):
        translated(generators, f"{given}/*.parquet", given)
    found, _ = translated(generators, given, given / "painted")
    again, _ = translated(generators, given, given / "painted")
    assert (found.shards, again.shards, again.kept) == (1, 1, 1)  # results below the originals are not read


def test_it_stops_between_two_pictures_and_leaves_nothing_half_done(generators: Generators, tmp_path: Path) -> None:
    given = fill_shards(tmp_path / "in", 1, 30)
    calls: list[None] = []

    def stopping() -> bool:
        calls.append(None)
        return len(calls) > 5

    painter = Painter(work(generators, tmp_path / "out"), "cpu", 1, FakeClock(), stopping)
    with pytest.raises(Stopped):
        painter(find_shards(str(given))[0])
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_weights_that_give_no_numbers_end_it(generators: Generators, tmp_path: Path) -> None:
    import copy

    broken = copy.deepcopy(generators)
    next(iter(broken.by_direction["ab"].parameters())).data.fill_(float("nan"))
    given = fill_shards(tmp_path / "in", 1, 1)
    with pytest.raises(MonetError, match="not finite"):
        translated(broken, given, tmp_path / "out")
    assert results(tmp_path / "out") == []


def test_a_direction_that_is_not_learned_is_refused(generators: Generators, tmp_path: Path) -> None:
    only = dataclasses.replace(generators, by_direction={"ab": generators.by_direction["ab"]})
    with pytest.raises(InputError, match="direction ba"):
        work(only, tmp_path, direction="ba")


@pytest.mark.parametrize("given", ["nothing", "s3x://bucket/photos", "nothing/*.parquet"])
def test_an_input_that_is_not_there_is_told(given: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        find_shards(given if "://" in given else str(tmp_path / given))


def test_any_address_will_do(generators: Generators, tmp_path: Path) -> None:
    import fsspec

    given = fill_shards(tmp_path / "in", 2, 2)
    system = fsspec.filesystem("memory")
    for path in given.iterdir():
        system.pipe_file(f"/bucket/in/{path.name}", path.read_bytes())
    found, _ = translated(generators, "memory://bucket/in", "memory://bucket/out")
    assert (found.painted, found.complete) == (4, True)
    translated(generators, given, tmp_path / "out")
    for path in results(tmp_path / "out"):
        assert system.cat_file(f"/bucket/out/{path.name}") == path.read_bytes()
    again, engine = translated(generators, "memory://bucket/in", "memory://bucket/out")
    assert (again.kept, engine.done) == (2, [])
    system.pipe_file("/bucket/loose/a.jpg", jpeg(1))
    loose, _ = translated(generators, "memory://bucket/loose", "memory://bucket/loose/out")
    assert loose.painted == 1
    assert next(entry.name for entry in store.listed_below("memory://bucket/loose/out")).endswith("/a.jpg")


def test_a_store_that_fails_now_and_then_is_asked_again() -> None:
    failures = [OSError("SlowDown"), ConnectionResetError("gone"), TimeoutError("slow")]
    pauses: list[float] = []

    def call() -> str:
        if failures:
            raise failures.pop()
        return "here"

    assert store._tried(call, "s3://b/x", pauses.append) == "here"
    assert pauses == [0.25, 0.5, 1.0]


def test_a_store_that_always_fails_is_given_up_and_named() -> None:
    pauses: list[float] = []

    def call() -> str:
        raise OSError("SlowDown")

    with pytest.raises(MonetError, match=r"s3://b/x: SlowDown \(8 tries\)"):
        store._tried(call, "s3://b/x", pauses.append)
    assert len(pauses) == 7


def test_folders_made_of_several_shards_lose_no_picture(generators: Generators, tmp_path: Path) -> None:
    for shard in range(3):
        write_tar(
            tmp_path / "in" / f"{shard}.tar", [(f"{place:03}.png", jpeg(10 * shard + place)) for place in range(4)]
        )
    found, _ = translated(generators, tmp_path / "in", tmp_path / "out", kind="folder")
    assert found.painted == 12
    assert len(list((tmp_path / "out").rglob("*.png"))) == 12


def test_names_that_would_meet_are_kept_apart_over_all_parts_of_a_folder(
    generators: Generators, tmp_path: Path
) -> None:
    given = fill_folder(tmp_path / "in", 1, 0, (32, 32))
    picture(1, (32, 32)).save(given / "0.png")
    found, _ = translated(generators, given, tmp_path / "out", size=1, suffix="jpg")
    assert (found.shards, found.painted) == (2, 2)
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.jpg")) == ["0.jpg", "0.png.jpg"]


@pytest.mark.parametrize("damage", ["header", "cut in a header", "cut before a header", "zeros", "no end", "more"])
def test_a_damaged_tar_is_never_taken_for_a_short_one(generators: Generators, tmp_path: Path, damage: str) -> None:
    import tarfile

    path = write_tar(tmp_path / "in" / "x.tar", [(f"{place}.jpg", jpeg(place)) for place in range(6)])
    with tarfile.open(path) as archive:
        fourth = archive.getmembers()[3].offset
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[fourth + 3] ^= 4
    elif damage == "zeros":
        data[fourth : fourth + 512] = bytes(512)
    elif damage == "more":
        data += jpeg(1)
    else:
        end = {"cut in a header": fourth + 100, "cut before a header": fourth, "no end": len(bytes(data).rstrip(b"\0"))}
        del data[end[damage] :]
    path.write_bytes(data)
    found, _ = translated(generators, tmp_path / "in", tmp_path / "out")
    assert (found.painted, len(found.lost)) == (0, 1)
    assert "damaged" in found.lost[0] or "no tar file" in found.lost[0]


def test_a_result_that_was_removed_is_made_again(generators: Generators, tmp_path: Path) -> None:
    given = fill_shards(tmp_path / "in", 2, 1)
    translated(generators, given, tmp_path / "out")
    results(tmp_path / "out")[0].unlink()
    again, engine = translated(generators, given, tmp_path / "out")
    assert (again.kept, len(engine.done), len(results(tmp_path / "out"))) == (1, 1, 2)


def test_results_of_shards_that_are_gone_and_of_other_settings_are_told(generators: Generators, tmp_path: Path) -> None:
    given = fill_shards(tmp_path / "in", 2, 1)
    translated(generators, given, tmp_path / "out")
    (given / "part-00.parquet").unlink()
    again, _ = translated(generators, given, tmp_path / "out")
    assert "1 more results" in again.lines("out")[-1]
    translated(generators, given, tmp_path / "out", quality=50)
    with pytest.raises(InputError, match="results of 2 checkpoints or settings"):
        find_shards(str(tmp_path / "out"))


def test_results_of_an_older_state_of_a_folder_are_not_counted_with_the_new_ones(
    generators: Generators, tmp_path: Path
) -> None:
    given = fill_folder(tmp_path / "in", 4, 0, (32, 32))
    translated(generators, given, tmp_path / "out", size=3, kind="parquet")
    assert len(find_shards(str(tmp_path / "out"))) == 2
    picture(9, (32, 32)).save(given / "00.jpg")
    again, _ = translated(generators, given, tmp_path / "out", size=3, kind="parquet")
    assert (again.painted, again.others) == (5, 2)
    with pytest.raises(InputError, match="two states of one folder"):
        find_shards(str(tmp_path / "out"))
    new = work(generators, tmp_path, kind="parquet")
    wanted = {f"{new.result(shard)}.parquet" for shard in find_shards(str(given), size=3)}
    for path in results(tmp_path / "out"):
        if path.name not in wanted:
            path.unlink()
    assert len(find_shards(str(tmp_path / "out"))) == 2


def test_two_folders_may_be_packed_into_one(generators: Generators, tmp_path: Path) -> None:
    for place in range(2):
        given = fill_folder(tmp_path / f"in{place}" / f"from{place}", 2, place, (32, 32)).parent
        translated(generators, given, tmp_path / "out", kind="parquet")
    assert len(find_shards(str(tmp_path / "out"))) == 2


@pytest.mark.parametrize("kind", ["parquet", "tar", "folder"])
@pytest.mark.parametrize("place", ["", "a/b"])
def test_pictures_of_two_settings_are_not_counted_together(
    generators: Generators, tmp_path: Path, kind: str, place: str
) -> None:
    fill_folder(tmp_path / "in" / place, 2, 0, (32, 32)) if place else fill_folder(tmp_path / "in", 2, 0, (32, 32))
    for quality in (80, 90):
        translated(generators, tmp_path / "in", tmp_path / "up" / "out", quality=quality, kind=kind)
    for looked_at in ("up/out", "up"):
        with pytest.raises(InputError, match="2 checkpoints or settings") as caught:
            find_shards(str(tmp_path / looked_at))
    suggested = str(caught.value).rpartition("such as ")[2].strip("'")
    found = find_shards(suggested)
    digits = {work(generators, tmp_path, quality=quality, kind=kind).settings[:16] for quality in (80, 90)}
    assert sum(one in suggested for one in digits) == 1
    assert [len(shard.files) or 2 for shard in found] == [2]


def test_nested_results_of_two_settings_are_not_counted_together(generators: Generators, tmp_path: Path) -> None:
    write_parquet(tmp_path / "in" / "deep" / "part.parquet", [(0, "a.jpg", jpeg(0))])
    for quality in (80, 90):
        translated(generators, tmp_path / "in", tmp_path / "out", quality=quality)
    for given in ("out", "out/deep", "out/**/*.parquet", "o*/deep/*.parquet"):
        with pytest.raises(InputError, match="2 checkpoints or settings") as caught:
            find_shards(str(tmp_path / given))
        assert len(find_shards(str(caught.value).rpartition("such as ")[2].strip("'"))) == 1


def test_digits_in_the_names_of_others_shards_are_no_settings(generators: Generators, tmp_path: Path) -> None:
    for place, digits in enumerate(("0123456789abcdef", "fedcba9876543210")):
        write_parquet(tmp_path / "in" / f"train-{place:05}-of-00002-{digits}.parquet", [(place, "a.jpg", jpeg(place))])
        fill_folder(tmp_path / "hashed" / digits, 1, place, (32, 32))
    (tmp_path / "manifest").mkdir()
    assert len(find_shards(str(tmp_path / "in"))) == 2
    assert len(find_shards(str(tmp_path / "hashed"))[0].files) == 2


def test_results_of_removed_pictures_and_no_problems_are_counted_as_others(
    generators: Generators, tmp_path: Path
) -> None:
    given = fill_folder(tmp_path / "in", 4, 0, (32, 32))
    translated(generators, given, tmp_path / "out", size=2)
    for name in ("2.jpg", "3.jpg"):
        (given / name).unlink()
    assert translated(generators, given, tmp_path / "out", size=2)[0].others == 1
    shards = fill_shards(tmp_path / "shards", 2, 1)
    (shards / "part-01.parquet").write_bytes(b"damaged")
    translated(generators, shards, tmp_path / "painted")
    (shards / "part-01.parquet").unlink()
    assert translated(generators, shards, tmp_path / "painted")[0].others == 0


def test_a_disk_that_fails_is_no_unreadable_picture(
    generators: Generators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = fill_folder(tmp_path / "in", 2, 0, (32, 32))
    real = store.read_bytes

    def stale(address: str) -> bytes:
        if address.endswith("1.jpg"):
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(address)

    monkeypatch.setattr(store, "read_bytes", stale)
    with pytest.raises(MonetError, match=r"1\.jpg cannot be read: Stale file handle"):
        translated(generators, given, tmp_path / "out")
    monkeypatch.undo()
    assert translated(generators, given, tmp_path / "out")[0].painted == 2


def test_a_shard_that_another_command_has_done_is_not_given_up(generators: Generators, tmp_path: Path) -> None:
    given = fill_shards(tmp_path / "in", 1, 1)

    class Slower(HereEngine):
        def run(self, work: Any, tasks: Any) -> Any:
            for task, _ in super().run(work, tasks):
                yield task, Lost("its process ended 5 times at this shard")

    painting = work(generators, tmp_path / "out")
    found = translate_shards(painting, find_shards(str(given)), Slower())
    assert (found.complete, found.painted) == (True, 1)
    (row,) = (tmp_path / "out" / "manifest").glob("*.json")
    assert json.loads(row.read_text())["problem"] is None


def test_a_picture_of_a_folder_that_was_removed_is_made_again(generators: Generators, tmp_path: Path) -> None:
    given = fill_folder(tmp_path / "in", 4, 0, (32, 32))
    (given / "3.jpg").write_bytes(b"no picture")
    translated(generators, given, tmp_path / "out", size=2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg")}
    next((tmp_path / "out").rglob("1.jpg")).unlink()
    again, engine = translated(generators, given, tmp_path / "out", size=2)
    assert (len(engine.done), again.kept) == (1, 1)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg")} == before


def test_the_manifest_says_why_nothing_of_a_shard_is_painted(generators: Generators, tmp_path: Path) -> None:
    given = fill_shards(tmp_path / "in", 2, 1)
    whole = (given / "part-01.parquet").read_bytes()
    (given / "part-01.parquet").write_bytes(whole[:-9])
    found, _ = translated(generators, given, tmp_path / "out")
    assert (found.painted, len(found.lost)) == (1, 1)
    rows = [json.loads(path.read_text()) for path in sorted((tmp_path / "out" / "manifest").glob("*.json"))]
    assert [row["problem"] is None for row in rows] == [True, False]
    (given / "part-01.parquet").write_bytes(whole)
    found, engine = translated(generators, given, tmp_path / "out")
    assert (len(engine.done), found.complete) == (1, True)


def test_shards_beside_photos_and_pictures_of_both_domains_are_not_guessed(tmp_path: Path) -> None:
    given = fill_folder(tmp_path / "in", 2, 0)
    write_tar(given / "backup.tar", [("notes.txt", b"mine")])
    with pytest.raises(InputError, match=r"holds shards \('backup.tar'\) and pictures \('0.jpg'\)"):
        find_shards(str(given))
    fill_folder(tmp_path / "both" / "trainA", 1, 0)
    fill_folder(tmp_path / "both" / "trainB", 1, 1)
    with pytest.raises(InputError, match="--direction"):
        find_shards(str(tmp_path / "both"), direction=None)
    assert len(find_shards(str(tmp_path / "both"), direction="ba")[0].files) == 2


def test_equal_names_are_kept_apart_without_a_search_for_each(
    generators: Generators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[PurePath] = []
    key = sources._key

    def counted(name: PurePath) -> str:
        looked_at.append(name)
        return key(name)

    monkeypatch.setattr(sources, "_key", counted)
    write_parquet(tmp_path / "in.parquet", [(place, "image.jpg", b"no picture") for place in range(300)])
    found, _ = translated(generators, tmp_path / "in.parquet", tmp_path / "out", suffix="png")
    (result,) = results(tmp_path / "out")
    assert found.images == 300
    assert len({row["name"] for row in rows_of(result)}) == 300
    assert len(looked_at) < 10 * 300


def test_few_bytes_that_unpack_to_many_take_little_memory(generators: Generators, tmp_path: Path) -> None:
    import resource

    import pyarrow
    import pyarrow.parquet

    value = bytes(40 * 2**20)
    columns = {"id": list(range(24)), "name": ["a.jpg"] * 24, "bytes": [value] * 24}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "in.parquet", compression="zstd")
    assert (tmp_path / "in.parquet").stat().st_size < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, _ = translated(generators, tmp_path / "in.parquet", tmp_path / "out")
    assert (found.images, found.painted) == (24, 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 900_000  # KiB


def test_a_name_that_has_no_place_is_a_row_with_a_reason(generators: Generators, tmp_path: Path) -> None:
    files = [(0, "x.png", jpeg(0)), (1, "x.png/y.png", jpeg(1)), (2, "a/" * 1500 + "z.png", jpeg(2))]
    write_parquet(tmp_path / "in.parquet", files)
    found, _ = translated(generators, tmp_path / "in.parquet", tmp_path / "out", kind="folder")
    assert (found.images, found.painted, found.lost) == (3, 1, [])


@pytest.mark.parametrize(
    "name", ["Screenshot 9.41\u202fAM.png", "全\u3000角.png", "12:30.png", "a\\b.png", "büro\udcff.png"]
)
def test_names_that_the_system_takes_are_kept(generators: Generators, tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    picture(1, (32, 32)).save(tmp_path / "in" / name)
    found, _ = translated(generators, tmp_path / "in", tmp_path / "out")
    assert found.painted == 1
    assert [path.name for path in (tmp_path / "out").rglob("*.png")] == [name]


def test_addresses_are_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store.everywhere("photos") == str(tmp_path / "photos")
    assert store.everywhere(f"file://{tmp_path}/photos") == str(tmp_path / "photos")
    assert store.everywhere("s3://bucket/photos") == "s3://bucket/photos"
    with pytest.raises(InputError, match="one process"):
        store.everywhere("memory://photos")
