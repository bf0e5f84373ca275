"""A domain cut from videos: what is taken, what is left out, and what is for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monet.data.frames import VideoLook, choose, look_at, scenes_for_tests
from monet.data.from_video import FrameOptions, frames_from_videos
from monet.data.layout import list_images
from monet.display import Display
from monet.errors import InputError
from tests.videos import Shot, write_video

SHOTS = [Shot(1, 25), Shot(2, 25), Shot(3, 10, "black"), Shot(4, 25, "blurred"), Shot(5, 25), Shot(1, 25), Shot(9, 25)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    pytest.importorskip("imagehash", reason="ImageHash is not installed")
    write_video(tmp_path / "clip.mp4", SHOTS, size=(120, 160), bars=15)
    return tmp_path / "clip.mp4"


def test_black_and_blurred_frames_and_near_duplicates_are_left_out(clip: Path) -> None:
    look = look_at(clip, None)
    choose([look])
    assert look.frames == 160
    assert len(look.candidates) == 7
    assert look.left_out == {"black": 1, "blurred": 1, "near-duplicates": 1}  # the fifth scene's second showing
    assert [each.scene for each in look.chosen] == [0, 1, 4, 6]
    assert [each.index for each in look.chosen] == [12, 37, 97, 147]


def test_bars_are_found_and_cut(clip: Path, tmp_path: Path) -> None:
    look = look_at(clip, 0.2)
    assert (look.picture[0].start, look.picture[0].stop) == (15, 105)
    assert look.picture[1] == slice(0, 160)
    found = frames_from_videos([clip], tmp_path / "out", FrameOptions(every=0.5, test=0))
    assert found.test == 0
    for path in list_images(tmp_path / "out" / "trainB"):
        with Image.open(path) as image:
            assert image.size == (160, 90)
            assert np.asarray(image.convert("L"))[0].mean() > 40


def test_a_dark_scene_is_not_taken_for_bars(tmp_path: Path) -> None:
    look = VideoLook(Path("x"), brightest_rows=np.array([0] * 45 + [90] * 10 + [0] * 45, np.uint8))
    look.brightest_columns = np.array([0] * 2 + [90] * 98, np.uint8)
    assert look.picture == (slice(None), slice(2, 100))


def test_frames_are_evenly_spaced(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [Shot(1, 100)], variable=True)
    look = look_at(tmp_path / "a.mp4", 0.5)
    times = [each.time for each in look.candidates]
    assert times[0] == 0
    assert all(abs(time - 0.5 * index) < 0.09 for index, time in enumerate(times))
    assert len(times) == 11  # of 5.3 s


def test_a_number_of_frames_is_shared_by_all_videos(tmp_path: Path) -> None:
    pytest.importorskip("imagehash")
    write_video(tmp_path / "a.mp4", [Shot(seed, 10) for seed in range(10)])
    write_video(tmp_path / "b.mkv", [Shot(seed, 10) for seed in range(10, 30)])
    videos = [tmp_path / "a.mp4", tmp_path / "b.mkv"]
    found = frames_from_videos(videos, tmp_path / "out", FrameOptions(most=30))
    assert 20 <= found.train + found.test <= 30
    names = [path.name for part in ("trainB", "testB") for path in list_images(tmp_path / "out" / part)]
    assert sum(name.startswith("a-") for name in names) == pytest.approx(10, abs=3)
    assert len(set(names)) == found.train + found.test


def test_no_scene_is_both_learned_from_and_tested_with(tmp_path: Path) -> None:
    pytest.importorskip("imagehash")
    write_video(tmp_path / "a.mp4", [Shot(seed, 20) for seed in range(12)], size=(96, 128))
    look = look_at(tmp_path / "a.mp4", 0.1)
    choose([look])
    tests = scenes_for_tests([look], 0.25, seed=0)
    share = sum((look.path, each.scene) in tests for each in look.chosen) / len(look.chosen)
    assert 0.1 < share < 0.4
    found = frames_from_videos([look.path], tmp_path / "out", FrameOptions(every=0.1, test=0.25))
    starts = {part: {_scene(path) for path in list_images(tmp_path / "out" / part)} for part in ("trainB", "testB")}
    assert not starts["trainB"] & starts["testB"]
    assert found.train > found.test > 0
    assert scenes_for_tests([look], 0.0, seed=0) == set()


def _scene(path: Path) -> int:
    return int(path.stem.split("-")[-1]) // 20


def test_what_cannot_be_read_is_told_and_the_rest_is_done(tmp_path: Path) -> None:
    pytest.importorskip("imagehash")
    write_video(tmp_path / "a.mp4", [Shot(1, 30), Shot(2, 30)])
    (tmp_path / "b.mp4").write_bytes(b"no video")
    found = frames_from_videos([tmp_path / "b.mp4", tmp_path / "a.mp4"], tmp_path / "out", FrameOptions(domain="a"))
    assert [(item.path.name, item.reason) for item in found.bad] == [("b.mp4", "not a video, or damaged")]
    assert len(list_images(tmp_path / "out" / "trainA")) == found.train > 0
    with pytest.raises(InputError, match=r"trainA is not empty: give another --output"):
        frames_from_videos([tmp_path / "a.mp4"], tmp_path / "out", FrameOptions(domain="a"))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="two videos are called a"):
        frames_from_videos([tmp_path / "a.mp4", tmp_path / "x" / "a.mp4"], tmp_path / "new", FrameOptions())
    with pytest.raises(
        InputError, match=r"no frame is left of 0 in 0 readable videos: .*b.mp4 \(not a video, or damaged\)"
    ):
        frames_from_videos([tmp_path / "b.mp4"], tmp_path / "new", FrameOptions())


def test_a_video_that_goes_between_looking_and_writing_is_told_and_the_rest_is_done(clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    write_video(other, [Shot(7, 25), Shot(8, 25)], size=(120, 160))

    class Removing(Display):
        def begin(self, what: str, total: int | None, unit: str) -> None:
            if what == "writing":
                clip.unlink()

    found = frames_from_videos([clip, other], tmp_path / "out", FrameOptions(every=1.0), Removing())
    ((path, reason),) = [(item.path, item.reason) for item in found.bad]
    assert path == clip
    assert reason.startswith("it changed while it was read: ")
    assert found.train + found.test == len(list((tmp_path / "out").rglob("other-*.jpg"))) > 0


def test_no_more_are_taken_than_asked_for_however_many_videos_there_are(tmp_path: Path) -> None:
    pytest.importorskip("imagehash")
    videos = [tmp_path / f"{index}.mp4" for index in range(5)]
    for index, path in enumerate(videos):
        write_video(path, [Shot(index, 8)], sound=False)
    found = frames_from_videos(videos, tmp_path / "out", FrameOptions(most=3, test=0))
    assert found.train == len(list_images(tmp_path / "out" / "trainB")) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 1.0, "most": 5}, "--every and --max both"),
        ({"every": 0.0}, "--every is 0.0 seconds"),
        ({"most": 0}, "--max is 0"),
        ({"test": 0.6}, "--test is 0.6: give 0 to 0.5"),
        ({"test": float("nan")}, "--test is nan"),
    ],
)
def test_wrong_options_are_refused(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FrameOptions(**options)
