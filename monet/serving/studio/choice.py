"""Which model paints, and in which direction: the same choice for photos and for videos."""

from __future__ import annotations

from typing import Any

import gradio as gr

from monet.models import Direction
from monet.serving.studio.studio import Studio, as_page_error

DIRECTIONS: tuple[tuple[str, Direction], ...] = (("photo to painting", "ab"), ("painting to photo", "ba"))


class ModelChoice:
    """A list of models, and the directions of the one that is chosen, where it has two.

    Args:
        studio: what is offered.
        name: `elem_id` of the list.
    """

    def __init__(self, studio: Studio, name: str) -> None:
        self._studio = studio
        names = studio.models.names
        self.model = gr.Dropdown(names, value=next(iter(names), None), label="Model", elem_id=name)
        """The list."""
        self.direction = gr.Radio(DIRECTIONS, value="ab", label="Direction", visible=False, render=False)
        """The directions; to be rendered where they are to stand."""

    def connect(self, page: gr.Blocks) -> None:
        """Lets the choice follow the runs, which save checkpoints while they are trained, and the chosen model."""
        private = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
        self.model.change(as_page_error(self.directions), self.model, self.direction, **private)
        page.load(as_page_error(self.refresh), self.model, [self.model, self.direction], **private)

    def directions(self, model: str | None) -> Any:
        """Returns the choice between the directions of a model."""
        known = self._studio.models.directions(model) if model else ()
        return gr.Radio(visible=len(known) > 1, value=next(iter(known), "ab"))

    def refresh(self, model: str | None) -> list[Any]:
        """Returns the choice as it is now."""
        names = self._studio.models.names
        chosen = model if model in names else next(iter(names), None)
        return [gr.Dropdown(choices=list(names), value=chosen), self.directions(chosen)]
