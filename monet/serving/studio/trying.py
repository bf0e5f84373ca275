"""Photos painted while somebody waits: before and after, several at once, two models side by side."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from monet.errors import MonetError
from monet.models import Direction
from monet.serving.paint import Order, name_of_painting, paint_picture
from monet.serving.studio.choice import ModelChoice
from monet.serving.studio.studio import PAINTING, Studio, as_page_error, failure, preview

NOTHING = "none"
"""The second model, where there is none."""
SIZES = (("as it is", 0), ("512 pixels", 512), ("1024 pixels", 1024), ("2048 pixels", 2048))
_STRIP = 12
"""Results that are kept in sight."""
_AT_ONCE = 20
"""Photos in one request."""


@dataclass(frozen=True)
class Painting:
    """A photo and its painting by one model; files of the studio's folder."""

    before: str
    after: str
    file: str
    note: str


@dataclass(frozen=True)
class Result:
    """A photo with its paintings, one a model."""

    name: str
    paintings: tuple[Painting, ...]


@dataclass(frozen=True)
class _Column:
    """A slider, and what belongs to it."""

    box: gr.Column
    slider: gr.ImageSlider
    download: gr.DownloadButton

    @property
    def parts(self) -> list[Any]:
        return [self.box, self.slider, self.download]


@dataclass(frozen=True)
class _Inputs:
    photos: gr.Gallery
    choice: ModelChoice
    second: gr.Dropdown
    size: gr.Dropdown
    strength: gr.Slider
    button: gr.Button


class TryTab:
    """The part of the page where photos are painted.

    Args:
        studio: what is offered.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def build(self, page: gr.Blocks) -> None:
        """Adds the components to the page that is being built."""
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                inputs = self._add_inputs()
            with gr.Column(scale=3, min_width=300):
                with gr.Row():
                    columns = [_add_column("first", visible=True), _add_column("second", visible=False)]
                note = gr.Markdown("Paintings appear here.", elem_id="note")
                strip = _strip_of([], visible=False)
        results = gr.State([])
        shown = [*(part for column in columns for part in column.parts), note]
        given = [inputs.photos, inputs.choice.model, inputs.second, inputs.choice.direction, inputs.size]
        inputs.button.click(
            as_page_error(self.paint),
            [*given, inputs.strength, results],
            [*shown, strip, results],
            **PAINTING,
            api_visibility="private",
            show_progress_on=[columns[0].slider],
        )
        strip.select(as_page_error(self.show_again), results, shown, queue=False, api_visibility="private")
        inputs.choice.connect(page)
        page.load(self.second_models, None, inputs.second, queue=False, api_visibility="private")

    def paint(
        self,
        photos: Sequence[tuple[str, str | None]] | None,
        model: str | None,
        second: str,
        direction: Direction,
        longer_side: int,
        strength: float,
        results: list[Result],
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (gradio finds it there)
    ) -> list[Any]:
        """Paints photos with one model, or with two; returns what the page shows then.

        Raises:
            MonetError: none of them can be painted.
        """
        files = [Path(path) for path, _ in photos or ()]
        if not files or not model:
            raise failure("Choose a photo first." if model else "There is no checkpoint yet: come back after an epoch.")
        if len(files) > _AT_ONCE:
            raise failure(f"{len(files)} photos are too many: give at most {_AT_ONCE} at once.")
        names = [model] if second in (NOTHING, model) else [model, second]
        orders = [
            Order(model=name, direction=direction, longer_side=longer_side or None, strength=strength / 100)
            for name in names
        ]
        added = self._paint_all(files, orders, lambda done, of: progress((done, of), unit="paintings"))
        results = [*added, *results][:_STRIP]
        return [*_shown(added[0], added), _strip_of(results, visible=True), results]

    def take_example(self, photos: Sequence[tuple[str, str | None]] | None, event: gr.SelectData) -> list[str]:
        """Returns the photos with the example that was chosen."""
        return [*(path for path, _ in photos or ()), str(self._studio.examples[event.index])]

    def show_again(self, results: list[Result], event: gr.SelectData) -> list[Any]:
        """Returns a result of the strip as the page shows it."""
        return _shown(results[event.index], [results[event.index]])

    def second_models(self) -> Any:
        """Returns the choice of a second model as it is now."""
        return gr.Dropdown(choices=[NOTHING, *self._studio.models.names])

    def _add_inputs(self) -> _Inputs:
        photos = gr.Gallery(
            label="Photos: drop, paste, or take one",
            sources=["upload", "clipboard", "webcam"],
            file_types=["image"],
            interactive=True,
            columns=3,
            height=230,
            fit_columns=False,
            object_fit="contain",
            buttons=[],
            elem_id="photos",
        )
        if self._studio.examples:
            examples = gr.Gallery(
                [str(path) for path in self._studio.examples],
                label="Or one of these",
                interactive=False,
                allow_preview=False,
                columns=4,
                height=130,
                object_fit="cover",
                buttons=[],
                elem_id="examples",
            )
            examples.select(as_page_error(self.take_example), photos, photos, queue=False, api_visibility="private")
        with gr.Row():
            choice = ModelChoice(self._studio, "model")
            second = gr.Dropdown(
                [NOTHING, *self._studio.models.names], value=NOTHING, label="Compare with", elem_id="second-model"
            )
        choice.direction.render()
        with gr.Row():
            size = gr.Dropdown(SIZES, value=0, label="Longer side at most", elem_id="size")
            strength = gr.Slider(0, 100, 100, step=5, label="Strength in %", elem_id="strength")
        return _Inputs(photos, choice, second, size, strength, gr.Button("Paint", variant="primary", elem_id="paint"))

    def _paint_all(
        self, files: Sequence[Path], orders: Sequence[Order], advance: Callable[[int, int], object]
    ) -> list[Result]:
        """Paints photos; what cannot be painted is said, and is an error where nothing can."""
        results: list[Result] = []
        problems: dict[str, None] = {}
        for index, file in enumerate(files):
            paintings = []
            for number, order in enumerate(orders):
                advance(index * len(orders) + number, len(files) * len(orders))
                try:
                    paintings.append(self._paint_one(file, order))
                except MonetError as error:
                    problems[f"{file.name}: {error}"] = None
            if paintings:
                results.append(Result(file.name, tuple(paintings)))
        if not results:
            raise failure("; ".join(problems))
        for problem in problems:
            gr.Warning(failure(problem).message, title="Left out")
        return results

    def _paint_one(self, file: Path, order: Order) -> Painting:
        folder, begun = self._studio.new_folder(), time.monotonic()
        target = folder / name_of_painting(file.name)
        painted = paint_picture(self._studio.models, file, target, order, self._studio.limits)
        seconds = max(0.1, time.monotonic() - begun)
        seen = folder / "seen"  # a folder of its own: photos have any name
        seen.mkdir()
        before, after = preview(painted.before, seen / "before.jpeg"), preview(painted.after, seen / "after.jpeg")
        height, width = painted.after.shape[:2]
        size = f"{width} × {height} pixels, {seconds:.1f} s"
        note = f"**{_plain(target.name)}**, painted by **{_plain(order.model)}**: {size}"
        return Painting(str(before), str(after), str(target), note)


def _add_column(name: str, *, visible: bool) -> _Column:
    with gr.Column(min_width=280, visible=visible) as box:
        slider = gr.ImageSlider(
            label="Before and after",
            type="filepath",
            interactive=False,
            buttons=["fullscreen"],
            max_height=560,
            elem_id=f"{name}-slider",
        )
        download = gr.DownloadButton("Download", interactive=False, elem_id=f"{name}-download")
    return _Column(box, slider, download)


def _shown(result: Result, to_download: Sequence[Result]) -> list[Any]:
    """Returns both columns and the note, as they show a result.

    Args:
        result: the photo that is seen.
        to_download: what the buttons give; one file, or a zip of several.
    """
    updates: list[Any] = []
    for number in range(2):
        if number >= len(result.paintings):
            updates += [gr.Column(visible=False), gr.ImageSlider(value=None), gr.DownloadButton(value=None)]
            continue
        painting = result.paintings[number]
        files = [Path(other.paintings[number].file) for other in to_download if len(other.paintings) > number]
        label, file = ("Download", files[0]) if len(files) == 1 else (f"Download all {len(files)}", _zipped(files))
        updates += [
            gr.Column(visible=True),
            gr.ImageSlider(value=(painting.before, painting.after)),
            gr.DownloadButton(label, value=str(file), interactive=True),
        ]
    return [*updates, "  \n".join(painting.note for painting in result.paintings)]


def _strip_of(results: Sequence[Result], *, visible: bool) -> Any:
    return gr.Gallery(
        [(result.paintings[0].after, result.name) for result in results],
        label="Last results",
        interactive=False,
        allow_preview=False,
        columns=6,
        height=160,
        fit_columns=False,
        object_fit="cover",
        buttons=[],
        visible=visible,
        elem_id="strip",
    )


def _zipped(files: Sequence[Path]) -> Path:
    path = files[0].parent / "paintings.zip"
    taken: set[str] = set()
    with zipfile.ZipFile(path, "w", strict_timestamps=False) as archive:  # the clock may be before 1980, its first year
        for file in files:
            name = file.name
            while name in taken:
                name = f"{Path(name).stem}_{file.suffix}"
            taken.add(name)
            archive.write(file, name)
    return path


def _plain(text: str) -> str:
    """Returns a text as Markdown shows it, letter by letter."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()<>#+!|~&" else letter for letter in text)
