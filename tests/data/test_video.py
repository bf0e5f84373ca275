"""Videos: frames as they are seen, with their times; sound as it was."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from monet.data.decode import UnreadableImage
from monet.data.scenes import SceneCuts
from monet.data.video import Frame, Video, VideoWriter, _CopiedSound, frames_in
from monet.errors import MonetError
from tests.videos import Shot, draw, sound_of, write_video


def read(path: Path) -> tuple[list[Frame], str | None]:
    with Video(path) as video:
        return list(video.frames()), video.damage


def copied(source: Path, path: Path) -> Path:
    """A video written anew, frame by frame."""
    with Video(source) as video, open(path, "wb") as file:
        waiting: list[Any] = []
        writer = None
        for item in video.frames_and_sound():
            if isinstance(item, Frame) and writer is None:
                writer = VideoWriter(file, path.suffix, video, item.pixels.shape[:2])
                for packet in waiting:
                    writer.copy(packet)
            if isinstance(item, Frame):
                assert writer is not None
                writer.write(item.pixels, item)
            elif writer is None:
                waiting.append(item)
            else:
                writer.copy(item)
        assert writer is not None
        with writer:
            pass
    return path


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_frames_come_in_order_with_their_times(tmp_path: Path, suffix: str, variable: bool) -> None:
    path, shot = tmp_path / f"a{suffix}", Shot(1, 20)
    times = write_video(path, [shot], variable=variable)
    frames, damage = read(path)
    assert damage is None
    assert [frame.time for frame in frames] == times
    for index, frame in enumerate(frames):
        assert np.abs(frame.pixels.astype(int) - draw(shot, index, (48, 64))).mean() < 12
    assert frames_in(path) == pytest.approx(20, abs=12 if variable else 1)


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (-90, 3), (180, 2)])
def test_a_video_that_lies_on_its_side_is_seen_upright(tmp_path: Path, rotation: int, turns: int) -> None:
    shot = Shot(2, 4)
    write_video(tmp_path / "a.mov", [shot], rotation=rotation)
    frames, _ = read(tmp_path / "a.mov")
    expected = np.rot90(draw(shot, 0, (48, 64)), turns).astype(int)
    assert frames[0].pixels.shape == expected.shape
    assert np.abs(frames[0].pixels - expected).mean() < 12


@pytest.mark.parametrize(
    ("given", "suffix"), [(".mp4", ".mp4"), (".mkv", ".mkv"), (".mov", ".mov"), (".webm", ".webm")]
)
def test_a_video_written_anew_has_the_same_times_and_the_same_sound(tmp_path: Path, given: str, suffix: str) -> None:
    source = tmp_path / f"a{given}"
    times = write_video(source, [Shot(3, 20), Shot(4, 10)], variable=True)
    path = copied(source, tmp_path / f"b{suffix}")
    frames, damage = read(path)
    assert damage is None
    originals, _ = read(source)
    assert len(frames) == len(originals) == 30
    assert max(abs(float(frame.time - time)) for frame, time in zip(frames, times, strict=True)) < 0.002
    assert sound_of(path) == sound_of(source)
    change = [
        np.abs(one.pixels.astype(int) - other.pixels).mean() for one, other in zip(frames, originals, strict=True)
    ]
    assert max(change) < 8
    with Video(source) as before, Video(path) as after:
        assert after.seconds == pytest.approx(before.seconds, abs=0.05)


def test_a_name_with_a_colon_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", [Shot(1, 3)])
    (tmp_path / "a.mp4").rename(tmp_path / "12:30.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read(Path("12:30.mp4"))[0]) == 3


def test_a_coding_that_nobody_knows_is_told(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [Shot(1, 3)], sound=False)
    (tmp_path / "a.mp4").write_bytes((tmp_path / "a.mp4").read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(UnreadableImage, match="its coding is unknown"):
        Video(tmp_path / "a.mp4")


def test_sound_that_the_container_cannot_hold_is_coded_anew(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [Shot(3, 25)])
    path = copied(tmp_path / "a.mkv", tmp_path / "b.webm")  # AAC is not for WebM
    with Video(path) as video:
        assert [stream.codec_context.name for stream in video.sound] == ["opus"]
        assert video.seconds == pytest.approx(1.0, abs=0.1)


def loudness(path: Path) -> np.ndarray[Any, Any]:
    """The deviation of a video's sound in every tenth of a second."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray().astype(float).mean(0) for frame in file.decode(audio=0)]
        rate = file.streams.audio[0].rate
    samples = np.concatenate(frames)
    return samples[: len(samples) // (rate // 10) * (rate // 10)].reshape(-1, rate // 10).std(1)


def test_sound_that_begins_late_does_so_when_it_is_coded_anew(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [Shot(3, 50)], sound_begins=1.0, sound_lasts=1.0)
    found = loudness(copied(tmp_path / "a.mkv", tmp_path / "b.webm"))
    assert len(found) == pytest.approx(20, abs=2)
    assert found[:8].max() < 0.1 * found[12:18].min()


def test_recordings_put_one_behind_the_other_follow_each_other(tmp_path: Path) -> None:
    times = write_video(tmp_path / "a.ts", [Shot(3, 40)])
    recording = (tmp_path / "a.ts").read_bytes()
    (tmp_path / "twice.ts").write_bytes(recording + recording)
    single, _ = read(tmp_path / "a.ts")
    frames, damage = read(tmp_path / "twice.ts")
    assert damage is None
    assert len(frames) == 2 * len(single) == 2 * len(times)
    steps = np.diff([float(frame.time) for frame in frames])
    assert steps.min() > 0.03
    assert steps.max() < 0.2
    path = copied(tmp_path / "twice.ts", tmp_path / "b.mkv")
    assert len(read(path)[0]) == 2 * len(times)
    assert len(sound_of(path)) == pytest.approx(2 * len(sound_of(tmp_path / "a.ts")), abs=2)


def test_times_that_begin_late_count_from_the_beginning(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [Shot(3, 50)], begins=20_000.0)
    frames, damage = read(tmp_path / "a.mkv")
    assert damage is None
    assert len(frames) == 50
    assert float(frames[0].time) == pytest.approx(0, abs=0.05)
    found = loudness(copied(tmp_path / "a.mkv", tmp_path / "b.webm"))
    assert len(found) == pytest.approx(20, abs=2)


def test_sound_at_the_rate_of_a_cd_is_coded_anew(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [Shot(3, 50)], sound_rate=44100)
    found = loudness(copied(tmp_path / "a.mkv", tmp_path / "b.webm"))
    assert len(found) == pytest.approx(20, abs=2)
    assert found[1:-2].min() > 0.01


def test_sound_that_changes_its_rate_goes_on(tmp_path: Path) -> None:
    for name, rate in (("a", 48000), ("b", 32000)):
        write_video(tmp_path / f"{name}.ts", [Shot(3, 50)], sound_rate=rate)
    (tmp_path / "both.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    found = loudness(copied(tmp_path / "both.ts", tmp_path / "b.webm"))
    assert len(found) == pytest.approx(40, abs=4)


def test_sound_that_lasts_longer_is_no_missing_end(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [Shot(3, 25)], sound_lasts=5.0)
    frames, damage = read(tmp_path / "a.mkv")
    assert len(frames) == 25
    assert damage is None


@pytest.mark.parametrize(("rotation", "expected"), [(0, Fraction(4, 3)), (90, Fraction(3, 4)), (180, Fraction(4, 3))])
def test_pixels_that_are_no_squares_turn_with_the_frame(tmp_path: Path, rotation: int, expected: Fraction) -> None:
    write_video(tmp_path / "a.mp4", [Shot(3, 3)], rotation=rotation, pixel_shape=Fraction(4, 3))
    with Video(copied(tmp_path / "a.mp4", tmp_path / "b.mp4")) as video:
        assert video.stream.sample_aspect_ratio == expected


def test_packets_of_sound_that_come_twice_are_written_once() -> None:
    packets = [SimpleNamespace(dts=time, time_base=Fraction(1, 10), stream=None) for time in (0, 1, 1, 0, 2)]
    sound = _CopiedSound("the stream")
    written = [packet.dts for given in packets for packet in sound.written(given)]
    assert written == [0, 1, 2]


@pytest.mark.parametrize("size", [(47, 63), (33, 64), (2, 2)])
def test_a_size_that_is_odd_stays(tmp_path: Path, size: tuple[int, int]) -> None:
    write_video(tmp_path / "a.mp4", [Shot(1, 3)], sound=False)
    with Video(tmp_path / "a.mp4") as video, open(tmp_path / "b.mp4", "wb") as file:
        with VideoWriter(file, ".mp4", video, size) as writer:
            for frame in video.frames():
                writer.write(np.full((*size, 3), 90, np.uint8), frame)
    frames, _ = read(tmp_path / "b.mp4")
    assert [frame.pixels.shape for frame in frames] == [(*size, 3)] * 3
    assert np.abs(frames[0].pixels.astype(int) - 90).max() <= 3


def test_a_damaged_end_yields_what_is_there_and_says_so(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [Shot(1, 100)], size=(96, 128))
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    frames, damage = read(tmp_path / "a.mkv")
    assert 20 < len(frames) < 80
    assert damage is not None
    assert damage.startswith("it ends after ")


def test_a_damaged_middle_is_left_out(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [Shot(1, 200)], size=(96, 128), sound=False)
    data = bytearray((tmp_path / "a.mkv").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes()
    (tmp_path / "a.mkv").write_bytes(data)
    frames, _ = read(tmp_path / "a.mkv")
    assert 50 < len(frames) <= 200


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "empty file"), (b"hello" * 200, "not a video, or damaged"), (None, "no such file")]
)
def test_what_is_no_video_says_why(tmp_path: Path, data: bytes | None, reason: str) -> None:
    if data is not None:
        (tmp_path / "a.mp4").write_bytes(data)
    pytest.importorskip("av")
    with pytest.raises(UnreadableImage, match=reason):
        Video(tmp_path / "a.mp4")


def test_a_file_of_sound_alone_is_no_video(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=48000)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 48000, number * 1024
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(UnreadableImage, match="no pictures in it"):
        Video(tmp_path / "a.mp4")


def test_without_the_library_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MonetError, match="pip install"):
        Video(tmp_path / "a.mp4")


def test_cuts_are_found_where_they_are(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [Shot(1, 15), Shot(2, 10), Shot(9, 5, "black"), Shot(4, 20)], size=(90, 160))
    with Video(tmp_path / "a.mp4") as video:
        cuts = SceneCuts(video)
        found = [index for index, frame in enumerate(video.frames()) if cuts.begins(frame)]
    assert found == [15, 25, 30]


def test_a_video_whose_frames_have_no_format_is_unreadable(tmp_path: Path) -> None:
    """As where the part is lost that says how its pictures are coded."""
    path = tmp_path / "film.mp4"
    write_video(path, [Shot(1, 10)], sound=False)
    data = bytearray(path.read_bytes())
    for name, kept in ((b"avcC", 4), (b"mdat", 4)):
        at = data.find(name)
        end = at - 4 + int.from_bytes(data[at - 4 : at], "big")
        data[at + kept : end] = bytes(end - at - kept)
    path.write_bytes(data)
    with pytest.raises(UnreadableImage, match="its coding is unknown"):
        Video(path)
