"""Whose turn it is: one thing at a time, people in turn, and so much an hour for each."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import Generic, TypeVar

from monet.clock import Clock
from monet.serving.bot.texts import Declined

T = TypeVar("T")

_HOUR = 3600.0
_MINUTE = 60.0


class HourlyLimit:
    """At most so many pictures and videos of each person in any hour.

    Args:
        most: their number.
        clock: in seconds.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._taken: dict[int, deque[float]] = {}

    def take(self, user: int, count: int = 1) -> None:
        """Counts pictures of somebody; of an album that is larger than the limit, as many as that.

        Raises:
            Declined: they are too many; nothing is counted. It says for how many minutes.
        """
        now, count = self._clock(), min(count, self._most)
        self._forget(now - _HOUR)
        taken = self._taken.get(user, deque())
        if (excess := len(taken) + count - self._most) > 0:
            wait = taken[excess - 1] + _HOUR - now
            raise Declined("hourly limit", most=self._most, minutes=max(1, math.ceil(wait / _MINUTE)))
        self._taken.setdefault(user, taken).extend([now] * count)

    def _forget(self, until: float) -> None:
        for user, taken in list(self._taken.items()):
            while taken and taken[0] <= until:
                taken.popleft()
            if not taken:
                del self._taken[user]


class Turns(Generic[T]):
    """A queue for each person; whoever has waited longest since their last turn is next.

    Args:
        most: things of one person that may wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[int, deque[T]] = OrderedDict()
        self._at_work = 0

    def require_room(self, user: int) -> None:
        """Checks that somebody may let one more thing wait.

        Raises:
            Declined: they may not.
        """
        if len(self._waiting.get(user, ())) >= self._most:
            raise Declined("many waiting", most=self._most)

    def enter(self, user: int, thing: T) -> int:
        """Lets a thing wait.

        Returns:
            How many others come before it.

        Raises:
            Declined: too many things of this person wait.
        """
        self.require_room(user)
        own = self._waiting.setdefault(user, deque())
        rounds = len(own)
        own.append(thing)
        before = self._at_work + rounds
        earlier = True
        for other, queue in self._waiting.items():
            if other == user:
                earlier = False
            else:
                before += min(len(queue), rounds + earlier)
        return before

    def next(self) -> T | None:
        """Takes the next thing to work; None where nothing waits."""
        if not self._waiting:
            return None
        user, queue = self._waiting.popitem(last=False)
        thing = queue.popleft()
        if queue:
            self._waiting[user] = queue
        self._at_work += 1
        return thing

    def done(self) -> None:
        """Ends the work on a thing."""
        self._at_work -= 1

    def clear(self) -> list[T]:
        """Takes all that wait out, person by person."""
        things = [thing for queue in self._waiting.values() for thing in queue]
        self._waiting.clear()
        return things
