from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import monet
from monet.data.video import Video
from monet.errors import InputError
from monet.serving.limits import Limits, Refused
from monet.serving.models import Models
from monet.serving.paint import Order, blended, name_of_painting, paint_picture, paint_video
from tests.conftest import FakeClock, picture

LIMITS = Limits()


@pytest.fixture(scope="module")
def models(painter: Path) -> Models:
    return Models([], [painter])


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp", "photo.tif"])
def test_a_painting_has_the_bytes_that_translate_writes(
    models: Models, checkpoint: Path, tmp_path: Path, name: str
) -> None:
    source = tmp_path / name
    picture(3, (61, 45)).save(source)
    paint_picture(models, source, tmp_path / "mine" / name, Order(model="painter/last"), LIMITS)
    monet.translate(checkpoint, source, tmp_path / "theirs")
    assert (tmp_path / "mine" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


def test_transparency_stays_also_where_a_picture_is_made_smaller(models: Models, tmp_path: Path) -> None:
    image = picture(3, (80, 40)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((80, 40)))
    image.save(tmp_path / "clear.png")
    order = Order(model="painter/last", longer_side=20)
    painted = paint_picture(models, tmp_path / "clear.png", tmp_path / "out.png", order, LIMITS)
    with Image.open(painted.path) as found:
        assert found.mode == "RGBA"
        assert found.size == (20, 10)
        opacity = np.asarray(found.getchannel("A")).astype(int)
    assert opacity[0].max() < 40
    assert opacity[-1].min() > 215
    assert painted.before.shape == painted.after.shape == (10, 20, 3)


def test_half_the_strength_is_half_way_to_the_painting(models: Models, tmp_path: Path) -> None:
    picture(3, (32, 32)).save(tmp_path / "a.png")
    results = {
        strength: paint_picture(
            models,
            tmp_path / "a.png",
            tmp_path / f"{strength}.png",
            Order(model="painter/last", strength=strength),
            LIMITS,
        )
        for strength in (0.0, 0.5, 1.0)
    }
    np.testing.assert_array_equal(results[0.0].after, results[0.0].before)
    half = (results[1.0].before.astype(float) + results[1.0].after) / 2
    assert np.abs(results[0.5].after - half).max() <= 0.5
    assert np.abs(results[1.0].after.astype(int) - results[1.0].before).max() > 5


def test_a_mixture_is_rounded_to_the_nearest_level() -> None:
    original, painted = np.array([[[0, 10, 255]]], np.uint8), np.array([[[255, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(blended(original, painted, 0.25), [[[64, 8, 191]]])


@pytest.mark.parametrize(
    ("given", "painted"),
    [
        ("a.jpg", "a.jpg"),
        ("A.JPEG", "A.JPEG"),
        ("a.gif", "a.png"),
        ("a", "a.png"),
        ("../../a.heic", "a.png"),
        ("clip.avi", "clip.mp4"),
        ("clip.webm", "clip.webm"),
    ],
)
def test_a_painting_is_called_as_translate_calls_it(given: str, painted: str) -> None:
    assert name_of_painting(given) == painted


def test_what_is_no_picture_or_too_large_is_refused_before_it_is_decoded(models: Models, tmp_path: Path) -> None:
    page = tmp_path / "page.jpg"
    page.write_text("<html><script>alert(1)</script></html>")
    wide = tmp_path / "wide.png"
    Image.new("1", (30_000, 10)).save(wide)
    many = tmp_path / "many.png"
    Image.new("1", (6_000, 6_000)).save(many)
    cut = tmp_path / "cut.jpg"
    picture(1, (300, 300)).save(cut)
    cut.write_bytes(cut.read_bytes()[:2000])
    for file, reason, words in (
        (page, "no picture", "this is not a readable picture"),
        (cut, "no picture", "this is not a readable picture"),
        (wide, "many pixels", "30,000 × 10 pixels are too many: send at most 24 million pixels, 12,000 a side"),
        (many, "many pixels", "6,000 × 6,000 pixels are too many"),
    ):
        with pytest.raises(Refused, match=words) as told:
            paint_picture(models, file, tmp_path / "out.png", Order(model="painter/last"), LIMITS)
        assert told.value.reason == reason
        assert str(tmp_path) not in str(told.value)
    with pytest.raises(Refused, match=r"0\.3 MB is too large: send at most 0\.1 MB"):
        Limits(megabytes=0.1).require_file(300_000)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("changes", [{"strength": 1.2}, {"strength": -0.1}, {"longer_side": 0}])
def test_an_order_out_of_range_is_an_error(changes: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Order(model="m", **changes)  # type: ignore[arg-type]


def test_a_short_video_becomes_what_translate_makes_of_it(models: Models, checkpoint: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", seconds=1)
    counted: list[int] = []
    order = Order(model="painter/last", direction="ba")
    result = paint_video(models, clip, tmp_path / "mine.mp4", order, LIMITS, lambda: counted.append(1))
    monet.translate(checkpoint, clip, tmp_path / "theirs.mp4", direction="ba")
    assert result.frames == len(counted) == 10
    assert (tmp_path / "mine.mp4").read_bytes() == (tmp_path / "theirs.mp4").read_bytes()


def test_a_video_that_is_longer_than_its_header_says_is_ended(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", seconds=2)
    monkeypatch.setattr(Video, "seconds", 0.5)
    with pytest.raises(Refused, match="s is too long: send at most 1 s"):
        paint_video(models, clip, tmp_path / "out.mp4", Order(model="painter/last"), Limits(clip=1))
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("kind", ["m3u8", "concat", "gif", "png"])
def test_a_list_of_other_files_is_no_video(models: Models, tmp_path: Path, kind: str) -> None:
    secret = write_clip(tmp_path / "secret.mp4", seconds=1)
    given = tmp_path / "clip.mp4"
    if kind in ("gif", "png"):
        picture(1, (64, 64)).save(given, kind)
    elif kind == "m3u8":
        given.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n")
    else:
        given.write_text(f"ffconcat version 1.0\nfile {secret}\n")
    with pytest.raises(Refused, match="this is not a readable video"):
        paint_video(models, given, tmp_path / "out.mp4", Order(model="painter/last"), LIMITS)


def test_a_picture_in_a_format_that_hides_another_one_is_refused(models: Models, tmp_path: Path) -> None:
    picture(1, (128, 128)).save(tmp_path / "icon.icns")
    with pytest.raises(Refused, match="this is not a readable picture"):
        paint_picture(models, tmp_path / "icon.icns", tmp_path / "o.png", Order(model="painter/last"), LIMITS)


def test_a_video_that_is_too_long_or_takes_too_long_is_refused_and_leaves_nothing(
    models: Models, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", seconds=2)
    order, target, clock = Order(model="painter/last"), tmp_path / "out.mp4", FakeClock()
    with pytest.raises(Refused, match="2 s is too long: send at most 1.5 s"):
        paint_video(models, clip, target, order, Limits(clip=1.5))
    with pytest.raises(Refused, match="takes longer than 60 s") as told:
        paint_video(models, clip, target, order, Limits(patience=60), lambda: clock.advance(11), clock)
    assert told.value.reason == "slow"
    page = tmp_path / "page.mp4"
    page.write_text("<html>")
    with pytest.raises(Refused, match="this is not a readable video"):
        paint_video(models, page, target, order, LIMITS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "page.mp4"]


def write_clip(path: Path, seconds: int) -> Path:
    """A video of 10 frames a second, 48×32."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for index in range(10 * seconds):
            image = picture(5, (48, 32)).rotate(3 * index)
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
