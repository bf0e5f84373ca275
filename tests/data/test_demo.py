from __future__ import annotations

import errno
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monet.data import demo
from monet.data.demo import demo_data
from monet.data.drawing import Kind, draw
from monet.errors import MonetError


def test_a_picture_is_a_function_of_seed_kind_and_index() -> None:
    assert draw(0, "photo", 5).tobytes() == draw(0, "photo", 5).tobytes()
    assert draw(0, "photo", 5).tobytes() != draw(1, "photo", 5).tobytes()
    assert draw(0, "photo", 5).tobytes() != draw(0, "painting", 5).tobytes()
    assert draw(0, "painting", 5).size == (256, 256)
    assert draw(0, "painting", 5).mode == "RGB"


def test_no_two_pictures_are_alike() -> None:
    small = np.stack([np.asarray(draw(0, "photo", index).resize((16, 16)), np.float64).ravel() for index in range(60)])
    distances = np.linalg.norm(small[:, None] - small[None], axis=-1) + 1e9 * np.eye(60)
    assert distances.min() > 100  # RMS over 768 values: 3.6 grey levels


def test_photos_and_paintings_differ_by_their_strokes() -> None:
    def roughness(kind: Kind) -> float:
        grey = [np.asarray(draw(0, kind, index).convert("L"), np.float64) for index in range(12)]
        return float(np.mean([np.abs(np.diff(image)).mean() for image in grey]))

    assert roughness("painting") > 1.5 * roughness("photo")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    demo_data(folder, photos=60, paintings=12, workers=2)
    return folder


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*.jpg"))
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def test_the_set_has_the_competitions_layout(drawn: Path) -> None:
    layout = demo_data(drawn, photos=60, paintings=12, workers=2)
    assert (layout.kind, layout.rules) == ("competition", "kaggle")
    assert (len(layout.photos), len(layout.paintings)) == (60, 12)


def test_a_second_call_finds_the_set_in_the_cache(drawn: Path) -> None:
    begun: list[int] = []
    demo_data(drawn, photos=60, paintings=12, workers=2, begin=begun.append)
    assert begun == []


def test_the_number_of_processes_makes_no_difference(drawn: Path, tmp_path: Path) -> None:
    advanced: list[int] = []
    demo_data(tmp_path, photos=60, paintings=12, workers=1, advance=advanced.append)
    assert digest(tmp_path) == digest(drawn)
    assert sum(advanced) == 72


def test_an_interrupted_drawing_is_not_taken_for_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demo, "_draw_all", die)
        with pytest.raises(KeyboardInterrupt):
            demo_data(tmp_path, photos=2, paintings=1, workers=1)
    assert len(demo_data(tmp_path, photos=2, paintings=1, workers=1).photos) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == [f"demo-v{demo.VERSION}-seed0-2-1"]


def test_a_set_that_was_half_deleted_is_drawn_again(tmp_path: Path) -> None:
    photo = demo_data(tmp_path, photos=3, paintings=1, workers=1).photos[1]
    before = photo.read_bytes()
    photo.unlink()
    assert demo_data(tmp_path, photos=3, paintings=1, workers=1).photos[1].read_bytes() == before


def test_of_two_that_need_the_set_at_once_one_draws_it_and_the_other_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_all, drawing = demo._draw_all, threading.Event()
    drawn: list[int] = []

    def slowly(folder: Path, *arguments: Any) -> None:
        drawn.append(threading.get_ident())
        drawing.set()
        time.sleep(0.3)
        draw_all(folder, *arguments)

    monkeypatch.setattr(demo, "_draw_all", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(demo_data, tmp_path, photos=2, paintings=1, workers=1)
        assert drawing.wait(30)
        assert demo_data(tmp_path, photos=2, paintings=1, workers=1) == first.result()
    assert len(drawn) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_process_had_drawn_is_removed(tmp_path: Path) -> None:
    left = tmp_path / f"demo-v{demo.VERSION}-seed0-2-1.abc.partial"
    (left / "photo_jpg").mkdir(parents=True)
    demo_data(tmp_path, photos=2, paintings=1, workers=1)
    assert [entry.name for entry in tmp_path.iterdir()] == [f"demo-v{demo.VERSION}-seed0-2-1"]


def test_without_locks_the_set_is_drawn_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert len(demo_data(tmp_path, photos=2, paintings=1, workers=1).photos) == 2


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(MonetError, match=r"cannot write the demo set in .*cache: "):
        demo_data(tmp_path / "cache", photos=2, paintings=1, workers=1)


def test_the_full_set_has_as_many_pictures_as_the_competitions_text_says() -> None:
    assert (demo.PHOTOS, demo.PAINTINGS) == (7028, 300)
