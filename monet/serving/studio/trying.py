"""Photos painted while somebody waits: before and after, several at once, two models side by side."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from monet.errors import MonetError
from monet.models import Direction
from monet.serving.paint import Order, PaintedPicture, name_of_painting, paint_picture
from monet.serving.studio.studio import PAINTING, Studio, failure, preview, told

NOTHING = "—"
"""The second model, where there is none."""
DIRECTIONS: tuple[tuple[str, Direction], ...] = (("photo to painting", "ab"), ("painting to photo", "ba"))
SIZES = (("as it is", 0), ("512 pixels", 512), ("1024 pixels", 1024), ("2048 pixels", 2048))
_STRIP = 12
"""Results that are kept in sight."""
_AT_ONCE = 20
"""Photos in one request."""


@dataclass(frozen=True)
class Shown:
    """A painting in the strip of the last results; files of the studio's folder."""

    before: str
    after: str
    file: str
    note: str


@dataclass(frozen=True)
class _Column:
    """A slider, and what belongs to it."""

    box: gr.Column
    slider: gr.ImageSlider
    download: gr.DownloadButton

    @property
    def parts(self) -> list[Any]:
        return [self.box, self.slider, self.download]


class TryTab:
    """The part of the page where photos are painted.

    Args:
        studio: what is offered.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def build(self, page: gr.Blocks) -> None:
        """Adds the components to the page that is being built."""
        names = self._studio.models.names
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
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
                    examples.select(self.take_example, None, photos, queue=False, api_visibility="private")
                with gr.Row():
                    model = gr.Dropdown(names, value=next(iter(names), None), label="Model", elem_id="model")
                    beside = gr.Dropdown([NOTHING, *names], value=NOTHING, label="Beside it", elem_id="beside")
                direction = gr.Radio(DIRECTIONS, value="ab", label="Direction", visible=False)
                with gr.Row():
                    size = gr.Dropdown(SIZES, value=0, label="Longer side at most", elem_id="size")
                    strength = gr.Slider(0, 100, 100, step=5, label="Strength in %", elem_id="strength")
                paint = gr.Button("Paint", variant="primary", elem_id="paint")
            with gr.Column(scale=3, min_width=300):
                with gr.Row():
                    first, second = self._column("first", visible=True), self._column("second", visible=False)
                note = gr.Markdown("Paintings appear here.", elem_id="note")
                strip = gr.Gallery(
                    label="Last results",
                    interactive=False,
                    allow_preview=False,
                    columns=6,
                    height=160,
                    fit_columns=False,
                    object_fit="cover",
                    buttons=[],
                    visible=False,
                    elem_id="strip",
                )
        shown = gr.State([])
        outputs = [*first.parts, *second.parts, note, strip, shown]
        paint.click(
            told(self.paint),
            [photos, model, beside, direction, size, strength, shown],
            outputs,
            **PAINTING,
            api_visibility="private",
            show_progress_on=[first.slider],
        )
        strip.select(self.show_again, shown, [*first.parts, *second.parts, note], queue=False, api_visibility="private")
        model.change(told(self.directions), model, direction, queue=False, api_visibility="private")
        page.load(told(self.refresh), model, [model, beside, direction], queue=False, api_visibility="private")
        self._add_api(names)

    def paint(
        self,
        photos: Sequence[tuple[str, str | None]] | None,
        model: str | None,
        beside: str,
        direction: Direction,
        longer: int,
        strength: float,
        shown: list[Shown],
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (gradio finds it there)
    ) -> list[Any]:
        """Paints photos with one model, or with two; returns what the page shows then.

        Raises:
            MonetError: none of them can be painted.
        """
        files = [Path(path) for path, _ in photos or ()]
        if not files or not model:
            raise failure("choose a photo first" if model else "there is no checkpoint yet: come back after an epoch")
        if len(files) > _AT_ONCE:
            raise failure(f"{len(files)} photos are too many: give at most {_AT_ONCE} at once")
        columns = []
        for name in [model] if beside == NOTHING else [model, beside]:
            order = Order(model=name, direction=direction, longer_side=longer or None, strength=strength / 100)
            columns.append(self._paint_all(files, order, lambda done, of: progress((done, of), unit="photos")))
        added = [found for column in columns for found in column]
        strip = [*reversed(added), *shown][:_STRIP]
        parts = [*_in_column(columns[0]), *(_in_column(columns[1]) if len(columns) > 1 else _hidden())]
        note = "  \n".join(found.note for column in columns for found in column[:1])
        return [*parts, note, _strip(strip), strip]

    def translate(self, photo: str, model: str, direction: Direction, longer: int, strength: float) -> str:
        """Paints one photo, for programs; returns the file.

        Raises:
            MonetError: it cannot be painted.
        """
        names = self._studio.models.names
        if not photo:
            raise failure("no photo was sent")
        order = Order(
            model=model or next(iter(names), ""),
            direction=direction,
            longer_side=int(longer) or None,
            strength=strength / 100,
        )
        return str(self._paint_one(Path(photo), order, self._studio.new_folder()).path)

    def take_example(self, event: gr.SelectData) -> list[str]:
        """Returns the example that was chosen, as a photo."""
        return [str(self._studio.examples[event.index])]

    def show_again(self, shown: list[Shown], event: gr.SelectData) -> list[Any]:
        """Returns a result of the strip as the page shows it."""
        found = shown[event.index]
        return [*_in_column([found]), *_hidden(), found.note]

    def directions(self, model: str | None) -> Any:
        """Returns the choice between directions, which is seen where a model has two."""
        known = self._studio.models.directions(model) if model else ()
        return gr.Radio(visible=len(known) > 1, value=next(iter(known), "ab"))

    def refresh(self, model: str | None) -> list[Any]:
        """Returns the choice of models as it is now: runs that are being trained have new checkpoints."""
        names = self._studio.models.names
        chosen = model if model in names else next(iter(names), None)
        return [
            gr.Dropdown(choices=list(names), value=chosen),
            gr.Dropdown(choices=[NOTHING, *names]),
            self.directions(chosen),
        ]

    def _column(self, name: str, *, visible: bool) -> _Column:
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

    def _add_api(self, names: Sequence[str]) -> None:
        """Adds what programs call, `/translate`."""
        with gr.Row(visible=False):
            photo = gr.File(label="photo")
            model = gr.Textbox(next(iter(names), ""), label="model")
            direction = gr.Textbox("ab", label="direction")
            longer = gr.Number(0, precision=0, label="longer_side")
            strength = gr.Number(100, label="strength")
            painting = gr.File(label="painting")
            gr.Button("Translate").click(
                told(self.translate),
                [photo, model, direction, longer, strength],
                painting,
                **PAINTING,
                api_name="translate",
            )

    def _paint_all(self, files: Sequence[Path], order: Order, advance: Any) -> list[Shown]:
        """Paints photos; what cannot be painted is said, and is an error where nothing can."""
        found: list[Shown] = []
        problems: list[str] = []
        for index, file in enumerate(files):
            advance(index, len(files))
            folder = self._studio.new_folder()
            begun = time.monotonic()
            try:
                painted = self._paint_one(file, order, folder)
            except MonetError as error:
                problems.append(f"{file.name}: {error}")
                continue
            found.append(_shown(painted, order, folder, time.monotonic() - begun))
        if not found:
            raise failure("; ".join(problems))
        for problem in problems:
            gr.Warning(failure(problem).message, title="Left out")
        return found

    def _paint_one(self, file: Path, order: Order, folder: Path) -> PaintedPicture:
        target = folder / name_of_painting(file.name)
        return paint_picture(self._studio.models, file, target, order, self._studio.limits)


def _shown(painted: PaintedPicture, order: Order, folder: Path, seconds: float) -> Shown:
    height, width = painted.after.shape[:2]
    before, after = preview(painted.before, folder / "before.jpeg"), preview(painted.after, folder / "after.jpeg")
    note = (
        f"**{_plain(painted.path.name)}** under **{_plain(order.model)}**: {width} × {height} pixels, {seconds:.1f} s"
    )
    return Shown(str(before), str(after), str(painted.path), note)


def _in_column(found: Sequence[Shown]) -> list[Any]:
    """Returns what a column shows of the results of one model: the first one, and a file with all."""
    first = found[0]
    file, label = (first.file, "Download") if len(found) == 1 else (_zipped(found), f"Download all {len(found)}")
    return [
        gr.Column(visible=True),
        gr.ImageSlider(value=(first.before, first.after), label=first.note.replace("**", "")),
        gr.DownloadButton(label, value=file, interactive=True),
    ]


def _hidden() -> list[Any]:
    return [gr.Column(visible=False), gr.ImageSlider(value=None), gr.DownloadButton(value=None)]


def _strip(shown: Sequence[Shown]) -> Any:
    return gr.Gallery([found.after for found in shown], visible=True)


def _zipped(found: Sequence[Shown]) -> str:
    path = Path(found[0].file).parent / "paintings.zip"
    taken: set[str] = set()
    with zipfile.ZipFile(path, "w") as archive:
        for item in found:
            file = Path(item.file)
            name = file.name
            while name in taken:
                name = f"{Path(name).stem}_{file.suffix}"
            taken.add(name)
            archive.write(file, name)
    return str(path)


def _plain(text: str) -> str:
    """Returns a text as Markdown shows it, letter by letter."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()<>#+!|~&" else letter for letter in text)
