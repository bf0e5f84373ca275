"""`translate`: any pictures, any size, either direction; nothing replaced, nothing done twice."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import monet
from monet.data.video import Video
from monet.inference.record import NAME
from tests.conftest import TINY, TINY_SETTINGS, picture
from tests.pipelines.conftest import command, finish, started
from tests.videos import Shot, sound_of, write_video


@pytest.fixture(scope="module")
def checkpoint(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("translate") / "run"
    networks = {"model.generator": "resnet", "model.skip": False, "training.lambda_cycle": 2.0}
    monet.train(tiny_data, run=run, settings={"training.epochs": 1, **networks, **TINY_SETTINGS})
    return run / "checkpoints" / "last.pt"


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A tree as strangers have them."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    picture(1, (1, 1)).save(folder / "one.png")
    picture(2, (37, 211)).save(folder / "deep" / "büro 1.jpg")
    picture(3, (256, 256)).save(folder / "square.webp")
    picture(4, (193, 108)).convert("CMYK").save(folder / "press.tif")
    Image.fromarray(np.arange(48 * 40, dtype=np.uint16).reshape(48, 40) * 30).save(folder / "deep.png")
    seen = picture(5, (40, 24)).convert("RGBA")
    seen.putalpha(picture(6, (40, 24)).convert("L"))
    seen.save(folder / "cut-out.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(7, (50, 30)).save(folder / "lying.jpg", exif=exif)
    whole = (folder / "lying.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "nothing.jpg").write_bytes(b"")
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "notes.txt").write_text("my pictures")
    return folder


def translate(checkpoint: Path, given: object, output: object, *words: object) -> int:
    fixed = ("--device", "cpu", "--precision", "fp32")
    return command("translate", "--checkpoint", checkpoint, "--input", given, "--output", output, *fixed, *words)


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """The pictures in a folder, with their sizes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != NAME and path.suffix != ".partial":
            with Image.open(path) as image:
                found[path.relative_to(folder).as_posix()] = image.size
    return found


def test_a_strange_tree_comes_back_as_it_is_and_what_cannot_be_read_is_told(
    checkpoint: Path, strange: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in strange.rglob("*") if path.is_file()}
    assert translate(checkpoint, strange, tmp_path / "out") == 1
    assert files(tmp_path / "out") == {
        "cut-out.png": (40, 24),
        "deep.png": (40, 48),
        "deep/büro 1.jpg": (37, 211),
        "lying.jpg": (30, 50),
        "one.png": (1, 1),
        "press.tif": (193, 108),
        "square.webp": (256, 256),
    }
    out = capsys.readouterr().out
    assert f"wrote 7 into {tmp_path / 'out'}" in out
    assert "half.jpg (truncated)" in out
    assert "nothing.jpg (empty file)" in out
    assert "set aside, neither picture nor video: " in out
    assert {path: path.read_bytes() for path in strange.rglob("*") if path.is_file()} == before
    with Image.open(tmp_path / "out" / "cut-out.png") as image, Image.open(strange / "cut-out.png") as given:
        assert np.array_equal(np.asarray(image)[..., 3], np.asarray(given)[..., 3])
    translator = monet.load(checkpoint, device="cpu", precision="fp32")
    (tmp_path / "out" / "half.jpg").write_bytes(b"mine")  # a name that was never written
    assert translate(checkpoint, strange, tmp_path / "out") == 2
    assert "half.jpg is there, and .translated.jsonl does not know it" in capsys.readouterr().err
    with Image.open(tmp_path / "out" / "one.png") as image, Image.open(strange / "one.png") as given:
        assert translator.translate(given.convert("RGB")).tobytes() == image.convert("RGB").tobytes()


def test_a_second_call_does_what_is_left_and_what_has_changed(
    checkpoint: Path, strange: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("half.jpg", "nothing.jpg"):
        (strange / name).unlink()
    out = tmp_path / "out"
    assert translate(checkpoint, strange, out) == 0
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    (out / "one.png").unlink()
    picture(9, (20, 20)).save(strange / "square.webp")
    capsys.readouterr()
    assert translate(checkpoint, strange, out) == 0
    assert f"wrote 2 into {out}, 5 were there" in capsys.readouterr().out
    changed = {path.name for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert changed == {"one.png", "square.webp", NAME}
    assert translate(checkpoint, strange, out, "--direction", "ba") == 0
    assert f"wrote 7 into {out}\n" in capsys.readouterr().out  # ours may be replaced, by another direction's
    record = (out / NAME).read_bytes()
    (out / NAME).write_bytes(record + b"\n[1]\nnonsense\n" + record.splitlines()[-1][:-20])  # torn by a kill
    (out / "one.png").unlink()
    assert translate(checkpoint, strange, out, "--direction", "ba") == 0
    assert f"wrote 1 into {out}, 6 were there" in capsys.readouterr().out
    assert translate(checkpoint, strange, out, "--direction", "ba") == 0
    assert f"wrote 0 into {out}, 7 were there" in capsys.readouterr().out
    (out / "one.png").write_bytes(b"a picture of somebody else's")
    assert translate(checkpoint, strange, out, "--direction", "ba") == 2
    assert "is there, and .translated.jsonl does not know it: give another --output" in capsys.readouterr().err


def test_no_original_is_replaced_by_whatever_name(
    checkpoint: Path, strange: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in strange.rglob("*") if path.is_file()}
    (tmp_path / "link").symlink_to(strange)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").symlink_to(strange / "deep")
    hard = tmp_path / "hard"
    hard.mkdir()
    os.link(strange / "one.png", hard / "one.png")
    soft = tmp_path / "soft"
    soft.mkdir()
    (soft / "one.png").symlink_to(strange / "one.png")
    for output in (strange, tmp_path / "link", tmp_path / "out", hard, soft):
        assert translate(checkpoint, strange, output) == 2, output
        assert "give another --output" in capsys.readouterr().err
    assert translate(checkpoint, strange / "one.png", strange / "one.png") == 2
    assert "is there already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in strange.rglob("*") if path.is_file() and path.name != NAME} == before


def test_two_pictures_that_differ_by_their_ending_are_two_afterwards(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    picture(1, (20, 20)).save(tmp_path / "in" / "a.png")
    picture(2, (30, 20)).save(tmp_path / "in" / "a.jpg")
    assert translate(checkpoint, tmp_path / "in", tmp_path / "out", "--format", "png") == 0
    assert files(tmp_path / "out") == {"a.png": (20, 20), "a.jpg.png": (30, 20)}


def test_each_of_two_types_goes_its_way(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("A_type", "B_type"):
        (tmp_path / "in" / name).mkdir(parents=True)
        picture(1, (40, 40)).save(tmp_path / "in" / name / "x.png")
    assert translate(checkpoint, tmp_path / "in", tmp_path / "out") == 0
    translator = monet.load(checkpoint, device="cpu", precision="fp32")
    for name, direction in (("A_type", "ab"), ("B_type", "ba")):
        expected = translator.translate(picture(1, (40, 40)), direction)  # type: ignore[arg-type]
        with Image.open(tmp_path / "out" / name / "x.png") as found:
            assert found.tobytes() == expected.tobytes()


def test_one_picture_goes_into_a_file_or_a_folder(checkpoint: Path, tmp_path: Path) -> None:
    picture(1, (40, 30)).save(tmp_path / "a.png")
    assert translate(checkpoint, tmp_path / "a.png", tmp_path / "b.jpg") == 0
    with Image.open(tmp_path / "b.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (40, 30))
    assert translate(checkpoint, tmp_path / "a.png", tmp_path / "new") == 0
    assert files(tmp_path / "new") == {"a.png": (40, 30)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "nowhere"], "no file or folder nowhere"),
        (["--output", "a.txt"], "a.txt is of no format by its name"),
        (["--quality", "0"], "--quality is 0: give 1 to 100"),
        (["--tile", "3"], "tiles of 3 pixels are too small"),
        (["--output", "x.png/below"], "x.png is not a folder that can be written to"),
        (["--checkpoint", "x.png"], "checkpoint x.png is damaged"),
    ],
)
def test_wrong_words_are_told_in_a_line(
    checkpoint: Path,
    tmp_path: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(1, (20, 20)).save("x.png")
    before = sorted(tmp_path.iterdir())
    assert command("translate", "--checkpoint", checkpoint, "--input", "x.png", "--output", "out.png", *words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert sorted(tmp_path.iterdir()) == before


def test_a_direction_that_was_not_trained_is_refused(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"training.epochs": 1, **TINY_SETTINGS, "training.lambda_cycle": 0.0}
    monet.train(tiny_data, run=tmp_path / "run", settings=settings)
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    assert translate(last, tiny_data / "testA", tmp_path / "out", "--direction", "ba") == 2
    assert "in the direction ba, which this checkpoint has not learned" in capsys.readouterr().err
    assert translate(last, tiny_data / "testA", tmp_path / "out") == 0


def test_a_translation_that_is_killed_leaves_whole_files_and_is_continued(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index in range(60):
        shutil.copy(picture_file(tmp_path, index), tmp_path / "in" / f"{index:02}.png")
    words = ("--checkpoint", checkpoint, "--input", tmp_path / "in", "--output", tmp_path / "out", "--device", "cpu")
    process = started("translate", *words, cwd=tmp_path)
    while not list((tmp_path / "out").glob("1?.png")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    done = files(tmp_path / "out")
    assert 10 <= len(done) < 60
    assert set(done.values()) == {(200, 200)}
    out, _ = finish(started("translate", *words, cwd=tmp_path), 0)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {NAME, *(f"{index:02}.png" for index in range(60))}
    again = int(out.split("wrote ")[1].split()[0])
    assert again <= 60 - len(done) + 4
    entries = [json.loads(line) for line in (tmp_path / "out" / NAME).read_text().splitlines()]
    assert {entry["name"] for entry in entries} == {f"{index:02}.png" for index in range(60)}


def picture_file(folder: Path, index: int) -> Path:
    path = folder / f"drawn-{index % 3}.png"
    if not path.exists():
        picture(index, (200, 200)).save(path)
    return path


def video_words(checkpoint: Path, given: Path, output: Path, *words: object) -> tuple[object, ...]:
    return ("--checkpoint", checkpoint, "--input", given, "--output", output, "--device", "cpu", *words)


def test_a_video_comes_back_with_its_frames_their_times_and_its_sound(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shots = [Shot(1, 20), Shot(2, 20), Shot(3, 5, "black")]
    times = write_video(tmp_path / "clip.mp4", shots, variable=True, bars=6)
    assert command("translate", *video_words(checkpoint, tmp_path / "clip.mp4", tmp_path / "new.mp4")) == 0
    out = capsys.readouterr().out
    assert "new.mp4: 45 frames, flicker " in out
    with Video(tmp_path / "new.mp4") as video:
        frames = list(video.frames())
        assert video.damage is None
    assert [frame.time for frame in frames] == times
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    assert sound_of(tmp_path / "new.mp4") == sound_of(tmp_path / "clip.mp4")
    assert command("translate", *video_words(checkpoint, tmp_path / "clip.mp4", tmp_path / "new.mp4")) == 2


def test_fewer_frames_a_second_keep_their_times(checkpoint: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mkv", [Shot(1, 50)])
    words = video_words(checkpoint, tmp_path / "clip.mkv", tmp_path / "new.mkv", "--fps", "10")
    assert command("translate", *words) == 0
    with Video(tmp_path / "new.mkv") as video:
        times = [float(frame.time) for frame in video.frames()]
    assert len(times) == 20
    assert times[:6] == pytest.approx([0, 0.12, 0.2, 0.32, 0.4, 0.52])


def test_smoothed_statistics_flicker_less(checkpoint: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mkv", [Shot(1, 30), Shot(2, 30)], sound=False)
    found = {}
    for smoothing in (0.0, 0.9):
        path = tmp_path / f"{smoothing}.mkv"
        result = monet.translate(checkpoint, tmp_path / "clip.mkv", path, smoothing=smoothing, device="cpu")
        found[smoothing] = result.videos[0].flicker
    assert found[0.9] is not None
    assert found[0.0] is not None
    assert found[0.9] < found[0.0]


def test_a_folder_of_pictures_and_videos_with_damage_is_done_as_far_as_it_goes(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    picture(1, (30, 20)).save(tmp_path / "in" / "a.png")
    write_video(tmp_path / "in" / "whole.mp4", [Shot(1, 5)])
    write_video(tmp_path / "in" / "half.mkv", [Shot(1, 100)], size=(96, 128))
    data = (tmp_path / "in" / "half.mkv").read_bytes()
    (tmp_path / "in" / "half.mkv").write_bytes(data[: len(data) // 2])
    (tmp_path / "in" / "none.mp4").write_bytes(b"words")
    words = video_words(checkpoint, tmp_path / "in", tmp_path / "out")
    assert command("translate", *words) == 1
    out = capsys.readouterr().out
    assert "wrote 3 into" in out
    assert "half.mkv: " in out
    assert "; it ends after " in out
    assert "none.mp4 (not a video, or damaged)" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name != NAME) == [
        *("a.png", "half.mkv", "whole.mp4"),
    ]
    assert command("translate", *words) == 1
    again = capsys.readouterr().out
    assert "wrote 0 into" in again
    assert "half.mkv, which was there: it ends after " in again
    (tmp_path / "in" / "none.mp4").unlink()
    assert command("translate", *words) == 1  # what is missing of a video is missing still
    (tmp_path / "in" / "half.mkv").unlink()
    assert command("translate", *words) == 0


def test_from_a_video_to_a_domain_to_a_training_to_the_video_translated(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("imagehash")
    shots = [Shot(seed, 15) for seed in range(8)] + [Shot(9, 5, "black")]
    write_video(tmp_path / "cartoon.mp4", shots, size=(96, 128), bars=12, variable=True)
    shutil.copytree(tiny_data / "trainA", tmp_path / "data" / "trainA")
    words = ("--video", tmp_path / "cartoon.mp4", "--output", tmp_path / "data", "--every", "0.3s")
    assert command("frames", *words) == 0
    out = capsys.readouterr().out
    assert "images to learn from and" in out
    run = tmp_path / "run"
    small = [*TINY, "--training.epochs", "1", "--training.save_every", "0"]
    assert command("train", "--data", tmp_path / "data", "--run", run, "--recipe", "cartoon", *small) == 0
    last = run / "checkpoints" / "last.pt"
    made = video_words(last, tmp_path / "cartoon.mp4", tmp_path / "new.mp4", "--direction", "ba")
    assert command("translate", *made) == 0
    with Video(tmp_path / "cartoon.mp4") as one, Video(tmp_path / "new.mp4") as other:
        assert [frame.time for frame in one.frames()] == [frame.time for frame in other.frames()]
        assert other.seconds == pytest.approx(one.seconds, abs=0.05)
    assert sound_of(tmp_path / "new.mp4") == sound_of(tmp_path / "cartoon.mp4")
