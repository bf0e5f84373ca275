"""Where a video cuts from one scene to the next."""

from __future__ import annotations

import contextlib
import itertools

from monet.data.video import Frame, Video, pyav

_THRESHOLD = 0.1
"""Change of a frame against the one before, 0 to 1, as FFmpeg measures it (the expression `scene` of its filter
`select`), from which on it is a cut. FFmpeg's manual holds 0.08 to 0.14 for good values."""


class SceneCuts:
    """Finds cuts while a video is read, with FFmpeg's filter `select`.

    Args:
        video: whose frames are looked at.
    """

    def __init__(self, video: Video) -> None:
        av = pyav()
        self._waits = (av.BlockingIOError, av.EOFError)
        self._graph = av.filter.Graph()
        chain = [
            self._graph.add_buffer(template=video.stream),
            self._graph.add("select", f"gt(scene,{_THRESHOLD})"),
            self._graph.add("buffersink"),
        ]
        for one, other in itertools.pairwise(chain):
            one.link_to(other)
        self._graph.configure()

    def begins(self, frame: Frame) -> bool:
        """Returns whether a scene begins with a frame. Every frame is to be shown to this once, in order."""
        self._graph.push(frame.native)
        with contextlib.suppress(*self._waits):
            self._graph.pull()  # the filter lets through what begins a scene, and nothing else
            return True
        return False
