"""A short video, painted while somebody waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from monet.data.video import frames_in
from monet.models import Direction
from monet.serving.paint import Order, name_of_painting, paint_video
from monet.serving.studio.studio import PAINTING, ProgressDisplay, Studio, failure, told
from monet.serving.studio.trying import DIRECTIONS


class VideoTab:
    """The part of the page where videos are painted.

    Args:
        studio: what is offered.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def build(self, page: gr.Blocks) -> None:
        """Adds the components to the page that is being built."""
        limits, names = self._studio.limits, self._studio.models.names
        gr.Markdown(
            f"Up to {limits.clip:g} seconds and {limits.megabytes:g} MB; rate, size and sound stay. It takes at most "
            f"{limits.patience / 60:g} minutes."
        )
        with gr.Row(equal_height=False):
            with gr.Column(min_width=300):
                video = gr.Video(label="Video", sources=["upload"], interactive=True, height=360, elem_id="video")
                with gr.Row():
                    model = gr.Dropdown(names, value=next(iter(names), None), label="Model", elem_id="video-model")
                    direction = gr.Radio(DIRECTIONS, value="ab", label="Direction")
                paint = gr.Button("Paint", variant="primary", elem_id="paint-video")
            with gr.Column(min_width=300):
                painted = gr.Video(label="Painted", interactive=False, height=360, elem_id="painted-video")
                note = gr.Markdown()
        paint.click(
            told(self.paint),
            [video, model, direction],
            [painted, note],
            **PAINTING,
            api_name="translate_video",
        )
        page.load(self.refresh, model, model, queue=False, api_visibility="private")

    def paint(
        self,
        video: str | None,
        model: str | None,
        direction: Direction = "ab",
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (gradio finds it there)
    ) -> tuple[str, str]:
        """Paints a video; returns the file, and a line about it.

        Raises:
            MonetError: it cannot be painted.
        """
        if not video or not model:
            raise failure("choose a video first" if model else "there is no checkpoint yet: come back after an epoch")
        source = Path(video)
        self._studio.limits.require_video(source)
        display = ProgressDisplay(progress)
        display.begin("painting", frames_in(source), "frames")
        target = self._studio.new_folder() / name_of_painting(source.name)
        order = Order(model=model, direction=direction)
        result = paint_video(self._studio.models, source, target, order, self._studio.limits, display.advance)
        damage = f"; {result.damage}" if result.damage else ""
        return str(target), f"{result.frames} frames{damage}"

    def refresh(self, model: str | None) -> Any:
        """Returns the choice of models as it is now."""
        names = self._studio.models.names
        return gr.Dropdown(choices=list(names), value=model if model in names else next(iter(names), None))
