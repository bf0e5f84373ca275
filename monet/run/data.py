"""From what a user calls the data to its files."""

from __future__ import annotations

from pathlib import Path

from monet.data.demo import demo_data
from monet.data.download import download_competition
from monet.data.layout import COMPETITION, KAGGLE_MOUNTS, Layout, find_auto, find_layout
from monet.display import Display
from monet.machine import available_processors


def find_data(data: str, *, cache_folder: Path, display: Display) -> Layout:
    """The files of a data set.

    Args:
        data: a folder; `auto` for the first of Kaggle's mounts, `data/gan-getting-started` and a download; `demo` for
            pictures drawn on the spot.
        cache_folder: where the demo set is kept.
        display: shows the drawing.

    Raises:
        InputError: there is nothing usable; the message says what to do.
    """
    if data == "auto":
        return find_layout(find_auto([*KAGGLE_MOUNTS, Path("data") / COMPETITION]) or download_competition())
    if data != "demo":
        return find_layout(Path(data))
    layout = demo_data(
        cache_folder,
        workers=available_processors(),
        begin=lambda total: display.begin("drawing the demo set", total, "pictures"),
        advance=display.advance,
    )
    display.end()
    return layout
