from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from monet import archive
from monet.archive import member_names, validate, writing
from monet.errors import InputError, MonetError
from monet.scoring.images import open_images
from tests.conftest import picture


def jpeg(seed: int = 0, size: tuple[int, int] = (256, 256), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    picture(seed, size).convert(mode).save(buffer, "JPEG")
    return buffer.getvalue()


def png() -> bytes:
    buffer = io.BytesIO()
    picture(0, (256, 256)).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(path: Path, members: dict[str, bytes] | list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items() if isinstance(members, dict) else members:
            file.writestr(name, data)
    return path


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The competition's rules, but for 3 to 10 images."""
    monkeypatch.setattr(archive, "KAGGLE_COUNT", range(3, 11))


def codes(path: Path, rules: archive.Rules = "kaggle") -> list[str]:
    return [problem.code for problem in validate(path, rules).problems]


def good(count: int = 3) -> dict[str, bytes]:
    return {f"{index}.jpg": jpeg(index) for index in range(count)}


@pytest.mark.usefixtures("few")
def test_a_good_archive_is_valid(tmp_path: Path) -> None:
    report = validate(zipped(tmp_path / "x.zip", good()))
    assert report.valid
    assert report.num_images == 3


@pytest.mark.usefixtures("few")
def test_equal_pictures_under_different_names_are_right(tmp_path: Path) -> None:
    assert validate(zipped(tmp_path / "x.zip", {f"{index}.jpg": jpeg(7) for index in range(4)})).valid


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("member", "code"),
    [
        (("a.jpg", jpeg(size=(256, 255))), "size"),
        (("a.jpg", jpeg(mode="L")), "mode"),
        (("a.jpg", jpeg(mode="CMYK")), "mode"),
        (("a.jpg", png()), "format"),
        (("a.jpg", b"not an image"), "format"),
        (("a.jpg", b""), "format"),
        (("a.jpg", jpeg()[:-400]), "corrupt"),
        (("a.jpg", jpeg()[:200]), "corrupt"),
        (("a.txt", jpeg()), "name"),
        ((".a.jpg", jpeg()), "name"),
        (("a\x07.jpg", jpeg()), "name"),
        (("images/a.jpg", jpeg()), "name"),
        (("__MACOSX/._a.jpg", b"\x00\x05\x16\x07"), "name"),
        (("images/", b""), "name"),
        (("../a.jpg", jpeg()), "unsafe"),
        (("/etc/a.jpg", jpeg()), "unsafe"),
        (("C:\\a.jpg", jpeg()), "unsafe"),
        (("..\\a.jpg", jpeg()), "unsafe"),
        (("0.jpg", jpeg()), "duplicate"),
        (("0.JPG", jpeg()), "duplicate"),
    ],
)
def test_every_fault_of_a_member_has_its_code_and_its_name(
    tmp_path: Path, member: tuple[str, bytes], code: str
) -> None:
    expected = pytest.warns(UserWarning, match="Duplicate name") if member[0] == "0.jpg" else contextlib.nullcontext()
    with expected:
        path = zipped(tmp_path / "x.zip", [*good().items(), member])
    report = validate(path)
    assert [problem.code for problem in report.problems] == [code]
    assert report.problems[0].name.casefold() == member[0].casefold()
    assert report.problems[0].message


@pytest.mark.usefixtures("few")
def test_an_encrypted_member_is_unsafe(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", good(4))
    data = bytearray(path.read_bytes())
    central = data.find(b"PK\x01\x02")
    data[central + 8] |= 1  # general purpose flag of the first member
    path.write_bytes(data)
    assert codes(path) == ["unsafe"]


@pytest.mark.usefixtures("few")
def test_a_link_is_unsafe(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", good())
    with zipfile.ZipFile(path, "a") as file:
        info = zipfile.ZipInfo("link.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    assert codes(path) == ["unsafe"]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFDIR])
def test_what_unpacks_to_no_regular_file_is_unsafe(tmp_path: Path, kind: int) -> None:
    path = zipped(tmp_path / "x.zip", good())
    with zipfile.ZipFile(path, "a") as file:
        info = zipfile.ZipInfo("a.jpg")
        info.external_attr = (kind | 0o644) << 16
        file.writestr(info, jpeg())
    assert codes(path) == ["unsafe"]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("attribute", [stat.FILE_ATTRIBUTE_DIRECTORY, stat.FILE_ATTRIBUTE_REPARSE_POINT])
def test_what_windows_unpacks_to_no_regular_file_is_unsafe(tmp_path: Path, attribute: int) -> None:
    path = zipped(tmp_path / "x.zip", good())
    with zipfile.ZipFile(path, "a") as file:
        info = zipfile.ZipInfo("a.jpg")
        info.external_attr = attribute
        file.writestr(info, jpeg())
    assert codes(path) == ["unsafe"]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "pair", [("\u00e9.jpg", "e\u0301.jpg"), ("\u00e9.jpg", "E\u0301.JPG"), ("stra\u00dfe.jpg", "STRASSE.jpg")]
)
def test_names_that_differ_only_in_unicode_form_or_case_are_duplicates(tmp_path: Path, pair: tuple[str, str]) -> None:
    path = zipped(tmp_path / "x.zip", {**good(), pair[0]: jpeg(), pair[1]: jpeg()})
    assert codes(path) == ["duplicate"]
    first, second = member_names([Path(name) for name in pair])
    assert (first, second) == (Path(pair[0]).stem + ".jpg", Path(pair[1]).stem + "-1.jpg")


def cut_with_an_end(data: bytes) -> bytes:
    return data[: len(data) // 2] + b"\xff\xd9"


def without_its_first_huffman_table(data: bytes) -> bytes:
    start = data.index(b"\xff\xc4")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]


def with_zeros_for_its_last_part(data: bytes) -> bytes:
    start = int(len(data) * 0.6)
    return data[:start] + bytes(len(data) - start - 2) + data[-2:]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "damage",
    [cut_with_an_end, without_its_first_huffman_table, with_zeros_for_its_last_part],
    ids=lambda do: do.__name__,
)
def test_damage_that_lenient_decoders_hide_is_corrupt(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")
    data = damage(buffer.getvalue())
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    path = zipped(tmp_path / "x.zip", {**good(), "a.jpg": data})
    for rules in get_args(archive.Rules):
        report = validate(path, rules)
        assert [(problem.code, problem.name) for problem in report.problems] == [("corrupt", "a.jpg")]


@pytest.mark.usefixtures("few")
def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", good())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb.jpg", b"\0" * 20_000_000)
    report = validate(path)
    assert [problem.code for problem in report.problems] == ["unsafe"]
    assert "20000000 bytes" in report.problems[0].message


@pytest.mark.usefixtures("few")
def test_an_image_of_absurd_dimensions_is_not_decoded(tmp_path: Path) -> None:
    data = bytearray(jpeg())
    start = data.find(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 60_000, 60_000)
    path = zipped(tmp_path / "x.zip", {**good(), "huge.jpg": bytes(data)})
    assert codes(path) in (["size"], ["unsafe"])
    assert codes(path, "any") == ["unsafe"]


def test_a_member_that_is_a_program_is_unsafe_and_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *given: ran.append(given))
    program = io.BytesIO()
    picture(1).save(program, "EPS")
    path = zipped(tmp_path / "a.zip", {"0.jpg": jpeg(), "1.jpg": program.getvalue()})
    (problem,) = validate(path, "any").problems
    assert (problem.code, problem.name, problem.message) == ("unsafe", "1.jpg", "a program in EPS, no image")
    with pytest.raises(InputError, match=r"1\.jpg"):
        list(open_images(path).batches(2, 1))
    assert not ran


@pytest.mark.usefixtures("few")
def test_a_member_whose_bytes_changed_is_corrupt(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", good())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert codes(path) == ["corrupt"]


@pytest.mark.parametrize("count", [2, 11])
@pytest.mark.usefixtures("few")
def test_too_few_or_too_many_images_are_counted(tmp_path: Path, count: int) -> None:
    report = validate(zipped(tmp_path / "x.zip", good(count)))
    assert [problem.code for problem in report.problems] == ["count"]
    assert f"{count} images: expected 3 to 10" in report.problems[0].message


def test_the_competition_takes_7000_to_10000_images() -> None:
    assert (min(archive.KAGGLE_COUNT), max(archive.KAGGLE_COUNT)) == (7000, 10000)


def test_other_rules_take_any_whole_image(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.png": png(), "b.jpg": jpeg(size=(30, 20), mode="L")})
    assert validate(path, "any").valid
    assert codes(zipped(tmp_path / "y.zip", {"a.jpg": jpeg()[:300]}), "any") == ["corrupt"]
    assert codes(zipped(tmp_path / "z.zip", {}), "any") == ["count"]


def test_every_reason_is_reported(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.jpg": png(), "../b.jpg": jpeg(), "c.jpg": jpeg(mode="L"), "d.txt": b""})
    assert sorted(codes(path)) == ["count", "format", "mode", "name", "unsafe"]


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all"])
def test_what_is_no_zip_cannot_be_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(InputError, match="is not a zip that can be read"):
        validate(path)


def test_a_torn_zip_cannot_be_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", good())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="is not a zip that can be read"):
        validate(path)


@pytest.mark.parametrize("name", ["", "x" * 252 + ".jpg", "é" * 126 + ".jpg"], ids=["none", "long", "long in UTF-8"])
def test_a_name_that_no_folder_takes_is_a_problem(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = name
        file.writestr(info, jpeg())
    (problem,) = [problem for problem in validate(path, "any").problems if problem.code != "count"]
    assert problem.code == "name"
    assert len(problem.name) < 100


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no archive"):
        validate(tmp_path / "x.zip")
    with pytest.raises(InputError, match="cannot be read: it is a folder"):
        validate(tmp_path)


def test_an_archive_takes_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with writing(path) as writer:
        writer.add("a.jpg", jpeg())
        assert not path.exists()
    assert writer.count == 1
    with pytest.raises(RuntimeError, match="boom"), writing(path) as writer:
        raise RuntimeError("boom")
    with zipfile.ZipFile(path) as file:
        assert file.namelist() == ["a.jpg"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["images.zip"]


def test_equal_images_make_equal_archives(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        with writing(tmp_path / name) as writer:
            writer.add("a.jpg", jpeg())
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_an_archive_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MonetError, match="cannot write"), writing(tmp_path / "file" / "images.zip"):
        pass


def test_names_are_flat_and_unique_whatever_the_case() -> None:
    photos = [Path("x/a.png"), Path("x/a.jpg"), Path("x/A.jpeg"), Path("x/b.jpg"), Path("x/a-1.jpg")]
    assert member_names(photos) == ["a.jpg", "a-1.jpg", "A-2.jpg", "b.jpg", "a-1-1.jpg"]


def test_memory_stays_flat_while_an_archive_is_read(tmp_path: Path) -> None:
    import tracemalloc

    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=95)
    path = zipped(tmp_path / "x.zip", {f"{index}.jpg": buffer.getvalue() for index in range(400)})
    tracemalloc.start()
    validate(path, "any")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * len(buffer.getvalue())


def test_member_names_are_as_long_as_a_folder_takes_them() -> None:
    long = [Path("x" * 250 + "y.jpg"), Path("x" * 250 + "y.JPG"), Path("字" * 85), Path("z" * 255)]
    names = member_names(long)
    assert names[:2] == ["x" * 250 + "y.jpg", "x" * 249 + "-1.jpg"]
    assert names[2:] == ["字" * 83 + ".jpg", "z" * 251 + ".jpg"]


def test_member_names_hold_nothing_that_an_archive_cannot_hold(tmp_path: Path) -> None:
    stems = ["a:b", ".hidden", "tab\tbed", "un\udcfflikely", "a_b", "plain é"]
    names = member_names([Path(f"{stem}.jpg") for stem in stems])
    assert names == ["a_b.jpg", "_hidden.jpg", "tab_bed.jpg", "un_likely.jpg", "a_b-1.jpg", "plain é.jpg"]
    with writing(tmp_path / "images.zip") as archive:
        for name in names:
            archive.add(name, jpeg())
    assert validate(tmp_path / "images.zip", "any").valid


def test_a_member_whose_compressed_bytes_are_damaged_is_reported_and_the_others_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("bad.jpg", jpeg())
        archive.writestr("good.jpg", jpeg())
    data = bytearray(path.read_bytes())
    start = 30 + len("bad.jpg")
    data[start + 9 : start + 60] = bytes(51)
    path.write_bytes(data)
    report = validate(path, "any")
    assert [(problem.code, problem.name) for problem in report.problems] == [("corrupt", "bad.jpg")]
    assert report.num_images == 2


def test_a_zip_with_an_undecodable_directory_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("é.jpg", jpeg())
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff"))
    with pytest.raises(InputError, match="is not a zip that can be read"):
        validate(path)
