"""Which files a translation takes, and the names of what it writes."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from monet.errors import InputError
from monet.inference.sources import PictureSuffix, Source, find_sources, output_names
from tests.conftest import picture

NOWHERE = Path("nowhere")


def write(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".txt", ".mp4", ".xyz"):
            path.write_text("words")
        else:
            picture(1, (8, 8)).save(path, "PNG")
    return folder


def names(given: Path | str, output: Path = NOWHERE) -> list[str]:
    return [source.name.as_posix() for source in find_sources(str(given), None, output).files]


def test_a_tree_is_taken_whole_but_for_what_is_hidden_or_no_picture(tmp_path: Path) -> None:
    write(tmp_path, "b/x.png", "a.png", "b/c/y.jpg", ".hidden.png", "b/.git/z.png", "notes.txt", "ü n.png", "clip.mp4")
    write(tmp_path, "no-ending", "odd.xyz")
    found = find_sources(str(tmp_path), None, NOWHERE)
    assert names(tmp_path) == ["a.png", "clip.mp4", "no-ending", "ü n.png", "b/x.png", "b/c/y.jpg"]
    assert [path.name for path in found.set_aside] == ["notes.txt", "odd.xyz"]
    assert [source.is_video for source in found.files] == [False, True, False, False, False, False]


def test_loops_of_links_end_and_no_folder_is_entered_twice(tmp_path: Path) -> None:
    write(tmp_path, "in/a.png", "in/b/c.png", "other/d.png")
    (tmp_path / "in" / "b" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in" / "b")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "self.png").symlink_to("self.png")
    (tmp_path / "in" / "gone.png").symlink_to("gone-for-good.png")
    assert names(tmp_path / "in") == ["a.png", "gone.png", "self.png", "again/c.png", "linked/d.png"]


def test_the_output_is_not_taken_for_input(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "out/a.png")
    assert names(tmp_path, tmp_path / "out") == ["a.png"]
    assert names(tmp_path) == ["a.png", "out/a.png"]


def test_a_pattern_neither_follows_loops_nor_takes_the_output(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b/x.png", "out/a.png", "out/b/x.png")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    assert names(f"{tmp_path}/**/*.png", tmp_path / "out") == ["a.png", "b/x.png"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["a.png"]),
        ("**/*.png", ["a.png", "b/x.png"]),
        ("b/*", ["x.png", "y.jpg"]),
        ("?/x.png", ["b/x.png"]),
        ("b*", ["b/x.png", "b/y.jpg"]),
    ],
)
def test_a_pattern_takes_what_it_matches(
    tmp_path: Path, pattern: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.png", "b/x.png", "b/y.jpg", "notes.txt")
    assert names(f"{tmp_path}/{pattern}") == expected
    monkeypatch.chdir(tmp_path)
    assert names(pattern) == expected


def test_each_type_of_the_two_has_its_direction(tmp_path: Path) -> None:
    write(tmp_path, "A_type/a.png", "B_type/b.png", "B_type/deep/c.png", "else/d.png")
    found = find_sources(str(tmp_path), None, NOWHERE)
    assert [(source.name.as_posix(), source.direction) for source in found.files] == [
        *(("A_type/a.png", "ab"), ("B_type/b.png", "ba"), ("B_type/deep/c.png", "ba")),
    ]
    (tmp_path / "B_type" / "b.png").unlink()
    (tmp_path / "B_type" / "deep" / "c.png").unlink()
    assert names(tmp_path) == ["A_type/a.png"]
    given = find_sources(str(tmp_path), "ba", NOWHERE)
    assert {source.direction for source in given.files} == {"ba"}
    assert len(given.files) == 2


def test_a_data_set_in_the_layout_of_cyclegan_goes_both_ways(tmp_path: Path) -> None:
    write(tmp_path, "trainA/a.png", "trainB/b.png", "testA/c.png", "testB/d.png", "else/e.png")
    found = find_sources(str(tmp_path), None, NOWHERE)
    assert {source.name.as_posix(): source.direction for source in found.files} == {
        **{"trainA/a.png": "ab", "testA/c.png": "ab", "trainB/b.png": "ba", "testB/d.png": "ba"},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nowhere", "no file or folder .*nowhere: give one, or a pattern in quotes"),
        ("*.jpg", "holds no picture and no video: 0 other files"),
        ("", "holds no picture and no video: 1 other files"),
    ],
)
def test_an_input_without_pictures_is_refused(tmp_path: Path, given: str, message: str) -> None:
    write(tmp_path, "notes.txt")
    with pytest.raises(InputError, match=message):
        find_sources(f"{tmp_path}/{given}", None, NOWHERE)


@pytest.mark.parametrize(
    ("suffix", "given", "expected"),
    [
        ("keep", ["a.jpg", "b.PNG", "c.tiff", "d.gif", "e", "f.mp4"], "a.jpg b.PNG c.tiff d.png e.png f.mp4"),
        ("jpg", ["a.jpeg", "b.PNG", "d.gif", "e", "f.mp4"], "a.jpeg b.jpg d.jpg e.jpg f.mp4"),
        ("png", ["a.jpg", "a.png", "b/a.jpg"], "a.jpg.png a.png b/a.png"),
        ("png", ["a.jpg", "a.webp"], "a.png a.webp.png"),
        ("keep", ["a.gif", "A.png"], "a.gif.png A.png"),
        ("png", ["a.jpg", "a.png", "a.jpg.png"], "a.jpg-2.png a.png a.jpg.png"),
        ("keep", ["a.png", "A.png"], "a.png A.png.png"),
    ],
)
def test_no_two_translations_have_one_name(suffix: PictureSuffix, given: list[str], expected: str) -> None:
    sources = [Source(Path("in") / name, PurePath(name), "ab") for name in given]
    assert " ".join(name.as_posix() for name in output_names(sources, suffix)) == expected
