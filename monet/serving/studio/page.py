"""The page, put together."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from monet.data.drawing import draw
from monet.errors import InputError
from monet.serving.studio.clip import VideoTab
from monet.serving.studio.endpoint import add_endpoint
from monet.serving.studio.runs import RunsTab
from monet.serving.studio.studio import KEPT_SECONDS, Studio
from monet.serving.studio.trying import TryTab

_EXAMPLES = 4
_EXAMPLE_SEED = 16
_SWEEP_SECONDS = 600
"""Time between looks at uploads that are old."""


def build_page(studio: Studio, *, waiting: int) -> gr.Blocks:
    """Returns the page.

    Args:
        studio: what it offers.
        waiting: requests that may wait, at most; others are told to come back.

    Raises:
        InputError: none may.
    """
    if waiting < 1:
        raise InputError(f"--waiting is {waiting}: give at least 1")
    with gr.Blocks(
        title="monet", analytics_enabled=False, delete_cache=(_SWEEP_SECONDS, KEPT_SECONDS), fill_width=True
    ) as page:
        gr.Markdown("# monet")
        with gr.Tabs():
            with gr.Tab("Try", id="try"):
                TryTab(studio).build(page)
                add_endpoint(studio)
            if studio.runs:
                with gr.Tab("Runs", id="runs"):
                    RunsTab(studio).build(page)
            with gr.Tab("Video", id="video"):
                VideoTab(studio).build(page)
    page.queue(max_size=waiting, default_concurrency_limit=2)
    return page


def draw_examples(folder: Path) -> tuple[Path, ...]:
    """Draws photos to try into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"drawn-{index + 1}.png" for index in range(_EXAMPLES)]
    for index, path in enumerate(paths):
        draw(_EXAMPLE_SEED, "photo", index).save(path)
    return tuple(paths)
