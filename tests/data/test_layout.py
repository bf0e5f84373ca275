from __future__ import annotations

import re
from pathlib import Path

import pytest

from monet.data.layout import KAGGLE_MOUNTS, find_auto, find_layout, identity_of, list_images
from monet.data.store import load_images
from monet.errors import InputError
from tests.conftest import REAL_DATA, fill_folder, needs_real_data


def test_the_competitions_layout_paints_all_photos(tmp_path: Path) -> None:
    fill_folder(tmp_path / "photo_jpg", 3, 0, (8, 8))
    fill_folder(tmp_path / "monet_jpg", 2, 9, (8, 8))
    layout = find_layout(tmp_path)
    assert layout.kind == "competition"
    assert layout.rules == "kaggle"
    assert [path.name for path in layout.photos] == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(layout.paintings) == 2
    assert layout.to_paint == layout.photos


def test_the_cyclegan_layout_paints_the_test_photos_and_shows_the_test_paintings(
    tiny_data: Path, tmp_path: Path
) -> None:
    layout = find_layout(tiny_data)
    assert (layout.kind, layout.rules) == ("cyclegan", "any")
    assert (len(layout.photos), len(layout.paintings), len(layout.to_paint)) == (12, 5, 6)
    assert layout.to_paint[0].parent.name == "testA"
    assert layout.test_paintings == layout.paintings
    fill_folder(tmp_path / "trainA", 2, 0, (8, 8))
    fill_folder(tmp_path / "trainB", 2, 0, (8, 8))
    tests = list_images(fill_folder(tmp_path / "testB", 3, 0, (8, 8)))
    assert find_layout(tmp_path).test_paintings == tests


def test_the_cyclegan_layout_without_test_photos_paints_the_others(tmp_path: Path) -> None:
    fill_folder(tmp_path / "trainA", 2, 0, (8, 8))
    fill_folder(tmp_path / "trainB", 2, 0, (8, 8))
    layout = find_layout(tmp_path)
    assert layout.to_paint == layout.photos


@needs_real_data
def test_the_real_data_has_7038_photos_whatever_its_text_says() -> None:
    layout = find_layout(REAL_DATA)
    assert (len(layout.photos), len(layout.paintings)) == (7038, 300)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ([], "holds nothing: expected photo_jpg/ and monet_jpg/, or trainA/ and trainB/"),
        (["photo_jpg"], "holds photo_jpg: expected"),
        (["photo_jpg", "monet_jpg"], "holds no files"),
        (["trainA", "trainB"], "holds no files"),
    ],
)
def test_a_folder_with_neither_layout_says_what_it_holds(tmp_path: Path, make: list[str], message: str) -> None:
    for name in make:
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=re.escape(message)):
        find_layout(tmp_path)


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        find_layout(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no folder"):
        find_layout(tmp_path / "file")
    with pytest.raises(InputError, match="no folder"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not a folder"):
        list_images(tmp_path / "file")


def test_hidden_files_and_folders_are_no_images(tmp_path: Path) -> None:
    fill_folder(tmp_path / "photos", 2, 0, (8, 8))
    (tmp_path / "photos" / ".DS_Store").write_text("")
    (tmp_path / "photos" / "sub").mkdir()
    assert [path.name for path in list_images(tmp_path / "photos")] == ["0.jpg", "1.jpg"]


def test_auto_takes_the_first_place_that_exists(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    assert find_auto([tmp_path / "a", tmp_path / "b", tmp_path / "c"]) == tmp_path / "b"
    assert find_auto([tmp_path / "a"]) is None
    assert [str(place) for place in KAGGLE_MOUNTS] == [
        "/kaggle/input/competitions/gan-getting-started",
        "/kaggle/input/gan-getting-started",
    ]


def test_pipes_and_links_to_nothing_among_photos_are_listed_and_found_unreadable(tmp_path: Path, pipe: Path) -> None:
    folder = fill_folder(tmp_path / "photos", 2, 0, (8, 8))
    pipe.rename(folder / "pipe.jpg")
    (folder / "lost.jpg").symlink_to("nowhere.jpg")
    (folder / "folder.jpg").mkdir()
    photos = list_images(folder)
    assert [photo.name for photo in photos] == ["0.jpg", "1.jpg", "lost.jpg", "pipe.jpg"]
    assert identity_of(photos) == identity_of(photos)
    store = load_images(photos, 8, workers=1)
    assert [(item.path.name, item.reason) for item in store.bad] == [
        ("lost.jpg", "no such file or directory"),
        ("pipe.jpg", "a named pipe"),
    ]
