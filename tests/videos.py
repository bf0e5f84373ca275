"""Small real videos: scenes that move, black frames, letterbox bars, sound, a variable rate, rotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tests.conftest import picture

MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True)
class Shot:
    """Some frames of a scene that moves."""

    seed: int
    frames: int
    kind: str = "moving"
    """`moving`, `still`, `black` or `blurred`."""


def draw(shot: Shot, index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns a frame, (H, W, 3), of a picture that moves by a pixel a frame and has fine detail."""
    height, width = size
    if shot.kind == "black":
        return np.zeros((height, width, 3), np.uint8)
    rng = np.random.default_rng(shot.seed)
    noise = rng.integers(-15, 15, (height + 100, width + 100, 1))
    large = np.asarray(picture(shot.seed, (width + 100, height + 100)), np.int16)
    light = 60 + 130 * (shot.seed * 3 % 7) / 6  # scenes differ in brightness, too
    whole = np.clip(large * 0.2 + light + noise, 40, 255).astype(np.uint8)
    offset = 0 if shot.kind == "still" else index % 100
    image = Image.fromarray(whole[offset : offset + height, offset : offset + width])
    if shot.kind == "blurred":
        image = image.filter(ImageFilter.GaussianBlur(8))
    return np.asarray(image)


def write_video(
    path: Path,
    shots: Sequence[Shot],
    *,
    size: tuple[int, int] = (48, 64),
    bars: int = 0,
    sound: bool = True,
    variable: bool = False,
    rotation: int = 0,
    rate: int = 25,
    sound_begins: float = 0.0,
    sound_lasts: float | None = None,
    pixel_shape: Fraction | None = None,
    begins: float = 0.0,
    sound_rate: int = 48000,
) -> list[Fraction]:
    """Writes a video; returns the times of its frames in seconds.

    Its times begin at `begins`. Its sound is noise, from `sound_begins` on, as long as the pictures or `sound_lasts`
    seconds.
    """
    av = pytest.importorskip("av", reason="PyAV is not installed")
    times: list[Fraction] = []
    with av.open(str(path), "w") as file:
        codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
        stream = file.add_stream(codec, rate=rate, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = size[0], size[1], "yuv420p"
        stream.codec_context.time_base = MILLISECOND
        if pixel_shape:
            stream.codec_context.sample_aspect_ratio = pixel_shape
        if rotation:
            stream.set_display_rotation(rotation)
        tone = file.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=sound_rate) if sound else None
        time = round(1000 * begins)
        for shot in shots:
            for index in range(shot.frames):
                pixels = draw(shot, index, size).copy()
                if bars:
                    pixels[:bars], pixels[-bars:] = 0, 0
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = time, MILLISECOND
                times.append(time * MILLISECOND)
                time += 1000 // rate * (1 + (variable and index % 3 == 0))
                file.mux(stream.encode(frame))
        if tone is not None:
            rng = np.random.default_rng(0)
            size_of_packet = 960 if path.suffix == ".webm" else 1024
            samples_in_all = round(sound_rate * (time / 1000 - begins if sound_lasts is None else sound_lasts))
            for number in range(samples_in_all // size_of_packet):
                samples = rng.normal(0, 0.1, (2, size_of_packet)).astype(np.float32)
                audio = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
                audio.sample_rate, audio.time_base = sound_rate, Fraction(1, sound_rate)
                audio.pts = number * size_of_packet + round(sound_rate * (begins + sound_begins))
                file.mux(tone.encode(audio))
            file.mux(tone.encode(None))
        file.mux(stream.encode(None))
    return times


def sound_of(path: Path) -> list[bytes]:
    """Returns the packets of a video's sound, as they are coded."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size]
