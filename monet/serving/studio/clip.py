"""A short video, painted while somebody waits."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from monet.data.video import frames_in
from monet.models import Direction
from monet.serving.paint import Order, name_of_painting, paint_video
from monet.serving.studio.choice import ModelChoice
from monet.serving.studio.studio import PAINTING, ProgressDisplay, Studio, as_page_error, failure


class VideoTab:
    """The part of the page where videos are painted.

    Args:
        studio: what is offered.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def build(self, page: gr.Blocks) -> None:
        """Adds the components to the page that is being built."""
        limits = self._studio.limits
        gr.Markdown(
            f"Up to {limits.clip:g} seconds and {limits.megabytes:g} MB; rate, size and sound stay. Painting stops "
            f"after {limits.patience / 60:g} minutes."
        )
        with gr.Row(equal_height=False):
            with gr.Column(min_width=300):
                video = gr.Video(label="Video", sources=["upload"], interactive=True, height=360, elem_id="video")
                choice = ModelChoice(self._studio, "video-model")
                choice.direction.render()
                paint = gr.Button("Paint", variant="primary", elem_id="paint-video")
            with gr.Column(min_width=300):
                painted = gr.Video(label="Painted", interactive=False, height=360, elem_id="painted-video")
                note = gr.Markdown(label="note")
        paint.click(
            as_page_error(self.paint),
            [video, choice.model, choice.direction],
            [painted, note],
            **PAINTING,
            api_name="translate_video",
        )
        choice.connect(page)

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
        target = self._studio.new_folder() / name_of_painting(source.name, is_video=True)
        order = Order(model=model, direction=direction)
        result = paint_video(self._studio.models, source, target, order, self._studio.limits, display.advance)
        damage = f"; {result.damage}" if result.damage else ""
        return str(target), f"{result.frames} frames{damage}"
