"""Times of a file's streams, which may begin anew in its middle."""

from __future__ import annotations

from fractions import Fraction

_JUMP = Fraction(1, 5)
"""Seconds back from which on times have begun anew; less is disorder."""
_NEAR = 1
"""Seconds within which a time follows the one before; a single time that was off is followed by such a one."""


class Timeline:
    """Continues times that begin anew, as where recordings were put one behind the other in one file.

    A file's streams begin anew at about the same place, and stay together: the first one that does so decides by how
    much all are moved, and one that has been silent meanwhile joins the others.

    Args:
        start: seconds at which the file begins; its times are moved so that they count from there.
    """

    def __init__(self, start: Fraction = Fraction(0)) -> None:
        self._moved = [-start]
        """By how much the times of each part are moved."""
        self._part: dict[int, int] = {}
        self._last: dict[int, Fraction] = {}
        self._end: dict[int, Fraction] = {}
        self._left: dict[int, tuple[int, Fraction]] = {}
        """Of streams that have seen one time of their part: the part before, and its last time."""

    def moved(self, stream: int, time: Fraction, duration: Fraction) -> Fraction:
        """Returns by how much a time of a stream is to be moved, in seconds.

        Args:
            stream: its number.
            time: at which a packet is to be decoded, in the order of the file.
            duration: how long it lasts.
        """
        part, last = self._part.get(stream, 0), self._last.get(stream, time)
        left = self._left.pop(stream, None)
        if left is not None and 0 <= time - left[1] < _NEAR:  # a single time was off
            part = left[0]
        elif time < last - _JUMP:
            self._left[stream] = part, last
            if part == len(self._moved) - 1:
                self._moved.append(self._end[stream] - time)
            part = len(self._moved) - 1
        self._part[stream], self._last[stream] = part, time
        if stream not in self._left:
            self._forget_unused()
        end = time + self._moved[part] + duration
        self._end[stream] = max(self._end.get(stream, end), end)
        return self._moved[part]

    def moves(self, stream: int) -> Fraction:
        """Returns by how much the times of a stream are moved at present, in seconds."""
        return self._moved[self._part.get(stream, 0)]

    def end_of(self, stream: int) -> Fraction:
        """Returns where a stream ends so far."""
        return self._end.get(stream, Fraction(0))

    @property
    def end(self) -> Fraction:
        """Where the last of all streams ends."""
        return max(self._end.values(), default=Fraction(0))

    def _forget_unused(self) -> None:
        """Forgets parts at the end that no stream is in, after all."""
        del self._moved[max(self._part.values()) + 1 :]
