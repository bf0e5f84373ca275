"""The styles to choose from: each model, in each direction that it has learned."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import PurePath

from monet.errors import InputError, first_line, shortened
from monet.models import Direction
from monet.serving.bot.choices import Choice
from monet.serving.bot.texts import Declined
from monet.serving.models import Models

_MOST = 40
"""Models in the list, the first ones: a message has at most 100 buttons, and each model is read once for it."""
_LABEL = 60
"""Characters of a label."""
_KEY = 16
"""Characters of a key: a button's data has 64 bytes."""
_ARROWS: dict[Direction, str] = {"ab": " →", "ba": " ←"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Style:
    """A model in one of its directions."""

    model: str
    """Its name in `Models`."""
    direction: Direction
    only: bool
    """The model has no other direction."""

    @property
    def label(self) -> str:
        """What people see: no more of a path than is needed."""
        name = "/".join(PurePath(self.model).parts[-2:])
        return shortened(name, _LABEL) + ("" if self.only else _ARROWS[self.direction])

    @property
    def key(self) -> str:
        """What a button sends: the same for the same style, whatever else is offered."""
        return hashlib.sha256(f"{self.direction} {self.model}".encode(errors="replace")).hexdigest()[:_KEY]


class Styles:
    """Knows which styles there are.

    Args:
        models: what is offered.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._directions: dict[tuple[str, int], tuple[Direction, ...]] = {}

    def offered(self) -> list[Style]:
        """Returns all styles; reads the models that are new. Those that cannot be read are left out."""
        return [style for name in self._models.names[:_MOST] for style in self._of_model(name)]

    def of(self, choice: Choice) -> Style:
        """Returns the style that was chosen, or the first one where it is no longer offered.

        Raises:
            Declined: none is offered.
        """
        chosen = choice.model
        names = self._models.names
        if chosen is not None and chosen in names:
            for style in self._of_model(chosen):
                if style.direction == choice.direction:
                    return style
        for name in names[:_MOST]:
            if styles := self._of_model(name):
                return styles[0]
        raise Declined("no model")

    def _of_model(self, name: str) -> list[Style]:
        try:
            key = (name, self._models.path(name).stat().st_mtime_ns)
            if key not in self._directions:
                self._directions[key] = self._models.directions(name)
        except (InputError, OSError) as error:  # written just now, perhaps
            _log.warning("a model is not offered: %s", first_line(error))
            return []
        directions = self._directions[key]
        return [Style(name, direction, len(directions) == 1) for direction in directions]
