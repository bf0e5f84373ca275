"""Times of a file's streams, which may begin anew in its middle."""

from __future__ import annotations

from fractions import Fraction

_JUMP = 1
"""Seconds back from which on times have begun anew; less is the disorder of coded frames."""


class Timeline:
    """Continues times that begin anew, as where recordings were put one behind the other in one file.

    A file's streams begin anew at about the same place, and stay together: the first one that does so decides by how
    much all are moved.
    """

    def __init__(self) -> None:
        self._moved = [Fraction(0)]
        """By how much the times of each part are moved."""
        self._part: dict[int, int] = {}
        self._last: dict[int, Fraction] = {}
        self._end: dict[int, Fraction] = {}

    def moved(self, stream: int, time: Fraction, duration: Fraction) -> Fraction:
        """Returns by how much a time of a stream is to be moved, in seconds.

        Args:
            stream: its number.
            time: of a frame or packet, in the order of the file.
            duration: how long that lasts.
        """
        part = self._part.get(stream, 0)
        if time < self._last.get(stream, time) - _JUMP:
            part += 1
            if part == len(self._moved):
                self._moved.append(self._end[stream] - time)
        self._part[stream], self._last[stream] = part, time
        self._end[stream] = max(self._end.get(stream, time), time + self._moved[part] + duration)
        return self._moved[part]

    def after(self, stream: int, duration: Fraction) -> Fraction:
        """Returns the time of what has none in the file: where the stream ends so far, as it was moved.

        Args:
            stream: its number.
            duration: how long it lasts.
        """
        time = self.end_of(stream)
        self._end[stream] = time + duration
        return time

    def end_of(self, stream: int) -> Fraction:
        """Returns where a stream ends so far."""
        return self._end.get(stream, Fraction(0))

    @property
    def end(self) -> Fraction:
        """Where the last of all streams ends."""
        return max(self._end.values(), default=Fraction(0))
