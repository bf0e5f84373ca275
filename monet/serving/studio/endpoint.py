"""What programs call: `/translate`."""

from __future__ import annotations

import math
from pathlib import Path

import gradio as gr

from monet.errors import MonetError
from monet.models import DIRECTIONS
from monet.serving.paint import Order, name_of_painting, paint_picture
from monet.serving.studio.studio import PAINTING, Studio, as_page_error


def add_endpoint(studio: Studio) -> None:
    """Adds it to the page that is being built, where nobody sees it."""
    with gr.Row(visible=False):
        given = [
            gr.File(label="photo"),
            gr.Textbox(next(iter(studio.models.names), ""), label="model"),
            gr.Textbox("ab", label="direction"),
            gr.Number(0, precision=0, label="longer_side"),
            gr.Number(100, label="strength"),
        ]
        painting = gr.File(label="painting")

        def translate(photo: str, model: str, direction: str, longer_side: float, strength: float) -> str:
            return _painted(studio, photo, model, direction, longer_side, strength)

        call = as_page_error(translate, drawn=False)
        gr.Button("Translate").click(call, given, painting, **PAINTING, api_name="translate")


def _painted(
    studio: Studio, photo: str | None, model: str | None, direction: str, longer_side: float, strength: float
) -> str:
    """Paints a photo; returns the file.

    Raises:
        MonetError: an argument is out of range, or the photo cannot be painted.
    """
    if not photo:
        raise MonetError("no photo was sent: give a file")
    if direction not in DIRECTIONS:
        raise MonetError(f"direction is {direction!r:.20}: give ab or ba")
    if not (isinstance(strength, int | float) and 0 <= strength <= 100):
        raise MonetError(f"strength is {strength!r:.20}: give 0 to 100, in percent")
    if not (isinstance(longer_side, int | float) and 0 <= longer_side < math.inf):
        raise MonetError(f"longer_side is {longer_side!r:.20}: give pixels, or 0 to leave the size as it is")
    order = Order(
        model=model or next(iter(studio.models.names), ""),
        direction="ab" if direction == "ab" else "ba",
        longer_side=int(longer_side) or None,
        strength=strength / 100,
    )
    source = Path(photo)
    target = studio.new_folder() / name_of_painting(source.name)
    return str(paint_picture(studio.models, source, target, order, studio.limits).path)
