"""Videos: their frames as they are seen, with their times, and their sound, which is copied."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np

from monet.data.decode import UnreadableImage
from monet.data.pixels import Pixels
from monet.data.timeline import Timeline
from monet.errors import MonetError
from monet.files import irregular_kind

WRITTEN: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys((".mp4", ".m4v"), ("mp4", "libx264", "aac")),
    ".mov": ("mov", "libx264", "aac"),
    ".mkv": ("matroska", "libx264", "aac"),
    ".webm": ("webm", "libvpx-vp9", "libopus"),
}
"""The container, and the codecs of pictures and of sound that cannot be copied, by a name's ending."""

_QUALITY = {"libx264": {"crf": "18", "preset": "medium"}, "libvpx-vp9": {"crf": "24", "b": "0", "row-mt": "1"}}
"""Constant quality, at which a viewer sees no loss."""
_ONLY = {"format_whitelist": "mov,mp4,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg", "protocol_whitelist": "file"}
"""Containers that are read. Playlists, scripts and lists of files name other files and addresses, which FFmpeg would
open for whoever sends them."""
_UNKNOWN_RATE = Fraction(25)
"""Frames a second where a file does not say."""
_ENDS_EARLY = 1.0
"""Seconds that may be missing at the end, as the lengths of sound and picture differ by some frames."""
_RATES = {
    "libopus": (48000,),
    "aac": (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
}
"""Samples a second that codecs of sound take."""
_LEAST_SILENCE, _MOST_SILENCE = Fraction(1, 20), Fraction(600)
"""Seconds without sound that are made up for where sound is coded anew: less is a matter of rounding, more a wrong
time."""
_MOST_LOST = 1000
"""Damaged parts after which reading ends: what follows would not be seen either."""
_RGB, _BT_709, _UNSPECIFIED, _LIMITED = 0, 1, 2, 1
"""FFmpeg's numbers of colour spaces, and of a range."""
_MATRICES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M"}
"""Names that PyAV's conversion has for FFmpeg's numbers of colour spaces; for others it has a default."""


@dataclass(frozen=True)
class Frame:
    """A frame, upright."""

    native: Any
    """PyAV's own frame."""
    time: Fraction
    """Seconds from the beginning."""
    duration: Fraction
    """Seconds that it is shown, as far as the file says; 0 where it does not."""

    @functools.cached_property
    def pixels(self) -> Pixels:
        """(H, W, 3): 8-bit RGB; converted when it is first asked for, as many frames are only passed over."""
        turns = _turns(self.native)
        pixels = self.native.to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def pyav() -> ModuleType:
    """Returns the library.

    Raises:
        MonetError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MonetError(f"videos need PyAV ({error}): pip install 'av>=16'") from error
    av.logging.set_level(av.logging.PANIC)  # what is wrong with a file is told once, by this module
    return av


class Video:
    """A video that is being read. Use it in a `with` block.

    Args:
        path: the file.

    Raises:
        UnreadableImage: it is no video, or nothing of it can be read.
        MonetError: PyAV is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._av = pyav()
        if kind := irregular_kind(path):
            raise UnreadableImage(kind)
        try:
            whole = str(path.absolute())  # 12:30.mp4 would name a protocol
            self._container = self._av.open(whole, metadata_errors="replace", options=_ONLY)
        except (self._av.FFmpegError, OSError) as error:
            raise UnreadableImage(_reason(error, path)) from error
        pictures = [stream for stream in self._container.streams.video if not _is_cover(stream)]
        if not pictures:
            self._container.close()
            raise UnreadableImage("no pictures in it")
        context = pictures[0].codec_context
        if context is None or not (context.pix_fmt and context.width and context.height):
            self._container.close()
            raise UnreadableImage("its coding is unknown")
        self.stream = pictures[0]
        """PyAV's stream of pictures; the first one, where there are several."""
        self.stream.thread_type = "AUTO"
        self.sound = [stream for stream in self._container.streams.audio if stream.codec_context is not None]
        """PyAV's streams of sound."""
        self.turned = False
        """Frames that were read lie on their side in the file: height and width are exchanged."""
        self.damage: str | None = None
        """What could not be read, when all has been."""

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""
        return self.stream.average_rate or self.stream.guessed_rate or _UNKNOWN_RATE

    @property
    def seconds(self) -> float | None:
        """Duration, as the file has it."""
        if self.stream.duration is not None:
            return float(self.stream.duration * self.stream.time_base)
        return None if self._container.duration is None else self._container.duration / self._av.time_base

    def frames(self) -> Iterator[Frame]:
        """Returns the frames, in the order in which they are shown."""
        return (item for item in self.frames_and_sound(sound=False) if isinstance(item, Frame))

    def frames_and_sound(self, sound: bool = True) -> Iterator[Frame | Any]:
        """Returns frames, and packets of sound as PyAV has them, in the order of the file.

        A damaged part is left out. Where the file ends early, so does this; `damage` says both.
        """
        start = Fraction(self._container.start_time or 0, self._av.time_base)
        lost, timeline, last = 0, Timeline(start), Fraction(0)
        packets = self._container.demux(self.stream, *self.sound)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                _move(packet, timeline)
                if packet.stream.type == "audio":
                    if sound and packet.dts is not None:  # the last one is empty
                        yield packet
                    continue
                decoded = packet.decode()
            except self._av.FFmpegError:
                lost += 1
                if lost > _MOST_LOST:
                    break
                continue
            for native in decoded:
                frame = self._frame(native, last)
                last = frame.time + frame.duration
                yield frame
        self.damage = self._damage(lost, timeline, start)

    def _frame(self, native: Any, last: Fraction) -> Frame:
        self.turned = bool(_turns(native) % 2)
        base = native.time_base or self.stream.time_base
        time = last if native.pts is None else native.pts * base
        duration = (native.duration or 0) * base or (Fraction(0) if native.pts is not None else 1 / self.rate)
        return Frame(native, time, duration)

    def _damage(self, lost: int, timeline: Timeline, start: Fraction) -> str | None:
        """Returns what is wrong. Where only the whole file has a length, that is the longest stream's; Matroska's
        counts from 0, wherever the file begins."""
        seconds, end = self.seconds, timeline.end_of(self.stream.index)
        if self.stream.duration is None:
            end = timeline.end
            if seconds is not None and "matroska" in self._container.format.name:
                seconds -= float(start)
        if seconds is not None and end < seconds - _ENDS_EARLY:
            return f"it ends after {float(end):.1f} s of {seconds:.1f} s"
        return f"{lost} damaged parts are left out" if lost else None


def frames_in(path: Path) -> int:
    """Returns the number of frames of a video, as far as its header or its length tells.

    Raises:
        UnreadableImage: it is no video.
        MonetError: PyAV is not installed.
    """
    with Video(path) as video:
        return video.stream.frames or round((video.seconds or 0.0) * float(video.rate))


class VideoWriter:
    """Writes a video. Use it in a `with` block; where that ends without an error, the file is whole.

    Args:
        file: open for writing, at its beginning.
        suffix: of the file's name, one of `WRITTEN`.
        source: the video whose times, colours and sound this one has.
        size: height and width in pixels.
    """

    def __init__(self, file: IO[bytes], suffix: str, source: Video, size: tuple[int, int]) -> None:
        self._av = pyav()
        kind, codec, self._sound_codec = WRITTEN[suffix]
        self._container = self._av.open(file, "w", format=kind)
        height, width = size
        whole = height % 2 == width % 2 == 0
        self._time_base = source.stream.time_base
        self._stream = self._container.add_stream(
            codec, rate=source.rate, options=_QUALITY[codec], width=width, height=height
        )
        self._stream.pix_fmt = "yuv420p" if whole else "yuv444p"
        self._stream.codec_context.time_base = self._time_base
        self._copy_colours(source)
        self._sound: dict[int, _CopiedSound | _CodedSound] = {
            stream.index: self._sound_stream(stream) for stream in source.sound
        }
        self._last = -1
        self._durations: dict[int, int] = {}
        """Of the frames that are being encoded, by their times: encoders forget them."""

    def write(self, pixels: Pixels, frame: Frame) -> None:
        """Writes a frame.

        Args:
            pixels: (H, W, 3) uint8.
            frame: the frame of the source that has its time.
        """
        native = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
        native = native.reformat(format=self._stream.pix_fmt, dst_colorspace=self._matrix, dst_color_range=self._range)
        native.time_base = self._time_base
        native.pts = self._last = max(round(frame.time / self._time_base), self._last + 1)
        if frame.duration:
            self._durations[native.pts] = round(frame.duration / self._time_base)
        self._mux(self._stream.encode(native))

    def copy(self, packet: Any) -> None:
        """Writes a packet of the source's sound: as it is where the container has its codec, else coded anew."""
        for coded in self._sound[packet.stream.index].written(packet):
            self._container.mux(coded)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._mux(self._stream.encode(None))
            for sound in self._sound.values():
                for coded in sound.end():
                    self._container.mux(coded)
        self._container.close()

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._container.mux(packet)

    def _sound_stream(self, template: Any) -> _CopiedSound | _CodedSound:
        try:
            return _CopiedSound(self._container.add_stream_from_template(template))
        except (ValueError, self._av.FFmpegError):
            rate = min(_RATES[self._sound_codec], key=lambda rate: (abs(rate - template.rate), rate))
            stream = self._container.add_stream(self._sound_codec, rate=rate)
            stream.layout = "mono" if template.channels == 1 else "stereo"
            return _CodedSound(stream, self._av)

    def _copy_colours(self, source: Video) -> None:
        ours, theirs = self._stream.codec_context, source.stream.codec_context
        for name in ("color_range", "color_primaries", "color_trc", "colorspace"):
            setattr(ours, name, getattr(theirs, name))
        if shape := source.stream.sample_aspect_ratio:
            ours.sample_aspect_ratio = 1 / shape if source.turned else shape
        if theirs.colorspace == _RGB:
            ours.color_range = _LIMITED
        if theirs.colorspace not in (*_MATRICES, _UNSPECIFIED):
            ours.colorspace = _BT_709
        self._matrix, self._range = _MATRICES.get(ours.colorspace), ours.color_range or None


class _CopiedSound:
    """Sound whose packets are written as they are.

    Args:
        stream: that they are written to.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._last: Fraction | None = None

    def written(self, packet: Any) -> list[Any]:
        """Returns what is to be written of a packet: nothing of one that does not come after the one before it, which
        no container holds."""
        time = packet.dts * packet.time_base
        if self._last is not None and time <= self._last:
            return []
        self._last, packet.stream = time, self._stream
        return [packet]

    def end(self) -> list[Any]:
        """Returns what is left to be written."""
        return []


class _CodedSound:
    """Sound that is coded anew, with silence where there was none.

    Args:
        stream: that it is written to.
        av: PyAV.
    """

    def __init__(self, stream: Any, av: ModuleType) -> None:
        self._stream = stream
        self._av = av
        self._end = Fraction(0)
        self._resampler: Any = None
        self._kind: tuple[str, str, int] | None = None
        """Of the frames that the resampler takes: format, layout and rate."""

    def written(self, packet: Any) -> list[Any]:
        """Returns the packets that are coded of one; of a damaged one none."""
        coded: list[Any] = []
        with contextlib.suppress(self._av.InvalidDataError):
            for frame in packet.decode():
                time = self._end if frame.pts is None else frame.pts * frame.time_base
                for _ in range(self._missing(time, frame)):
                    coded += self._coded(self._silence(frame))
                coded += self._coded(frame)
        return coded

    def end(self) -> list[Any]:
        """Returns what is left to be written."""
        return self._resampled(None) + self._stream.encode(None)

    def _missing(self, time: Fraction, frame: Any) -> int:
        """Returns how many frames of silence are missing before a frame of this time."""
        gap = time - self._end
        if gap > _MOST_SILENCE:
            self._end = time
            return 0
        return round(gap * frame.sample_rate / frame.samples) if gap > _LEAST_SILENCE and frame.samples else 0

    def _silence(self, frame: Any) -> Any:
        silent = self._av.AudioFrame(format=frame.format.name, layout=frame.layout.name, samples=frame.samples)
        silent.sample_rate = frame.sample_rate
        for plane in silent.planes:
            middle = b"\x80" if frame.format.name.startswith("u8") else b"\x00"
            plane.update(middle * plane.buffer_size)
        return silent

    def _coded(self, frame: Any) -> list[Any]:
        self._end += Fraction(frame.samples, frame.sample_rate)
        coded: list[Any] = []
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:  # at the beginning, and where the sound changes
            coded += self._resampled(None)
            codec = self._stream.codec_context
            self._resampler = self._av.AudioResampler(codec.codec.audio_formats[0], codec.layout, codec.rate)
            self._kind = kind
        frame.pts = None
        return coded + self._resampled(frame)

    def _resampled(self, frame: Any) -> list[Any]:
        """Returns the packets of a frame, or of what a resampler still holds; none where there is no resampler yet."""
        coded: list[Any] = []
        if self._resampler is not None:
            for resampled in self._resampler.resample(frame):
                resampled.pts = None
                coded += self._stream.encode(resampled)
        return coded


def _turns(native: Any) -> int:
    """Returns how many quarters a frame is to be turned counter-clockwise to be upright."""
    return round(native.rotation / 90) % 4


def _move(packet: Any, timeline: Timeline) -> None:
    """Moves a packet's times, so that they count from the file's beginning, and go on where they begin anew there."""
    base, stream = packet.time_base, packet.stream.index
    if packet.dts is None:  # frames come in the order in which they are decoded, not that in which they are shown
        moved = round(timeline.moves(stream) / base)
    else:
        shown = packet.dts if packet.pts is None else max(packet.dts, packet.pts)
        lasts = (shown - packet.dts + (packet.duration or 0)) * base
        moved = round(timeline.moved(stream, packet.dts * base, lasts) / base)
    packet.dts = None if packet.dts is None else packet.dts + moved
    packet.pts = None if packet.pts is None else packet.pts + moved


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & stream.disposition.attached_pic)


def _reason(error: Exception, path: Path) -> str:
    with contextlib.suppress(OSError):
        if path.stat().st_size == 0:
            return "empty file"
    words = getattr(error, "strerror", None) or str(error)
    return "not a video, or damaged" if "nvalid data" in words else words.lower()
