"""Grids of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from monet.data.pixels import Pixels, to_pixels
from monet.files import written_whole
from monet.models import Networks

_GAP, _MARGIN, _HEADER = 4, 12, 30


def image_grid(rows: Sequence[Sequence[Pixels]], titles: Sequence[str], group: int = 0) -> Image.Image:
    """Lays images out in a grid with a title above each column.

    Args:
        rows: images of one size, (H, W, 3) uint8; every row has as many as there are titles.
        titles: one a column.
        group: columns that belong together; a wider gap follows each group. 0 for no groups.
    """
    height, width = rows[0][0].shape[:2]
    lefts, x = [], _MARGIN
    for column in range(len(titles)):
        x += 3 * _GAP if group and column and column % group == 0 else 0
        lefts.append(x)
        x += width + _GAP
    size = (x - _GAP + _MARGIN, _HEADER + len(rows) * (height + _GAP) - _GAP + _MARGIN)
    grid = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(grid), ImageFont.load_default(15)
    for left, title in zip(lefts, titles, strict=True):
        draw.text((left + width / 2, _HEADER / 2), title, fill=(40, 40, 40), font=font, anchor="mm")
    for index, row in enumerate(rows):
        for left, pixels in zip(lefts, row, strict=True):
            grid.paste(Image.fromarray(pixels), (left, _HEADER + index * (height + _GAP)))
    return grid


@torch.no_grad()
def translation_grid(networks: Networks, photos: Tensor, paintings: Tensor, *, back: bool = True) -> Image.Image:
    """Draws photo → painting → reconstruction and back, a row for each photo and painting.

    Args:
        networks: the generators; left in the mode in which they came.
        photos: (N, 3, H, W) float, −1…1, on the networks' device.
        paintings: the same shape.
        back: the way back is trained; without it photo → painting alone is drawn.
    """
    if not back:
        (fake_b,) = _passed_on([networks.generator_ab], photos)
        return _grid({"photo": photos, "painted": fake_b}, group=0)
    fake_b, cycled_a = _passed_on([networks.generator_ab, networks.generator_ba], photos)
    fake_a, cycled_b = _passed_on([networks.generator_ba, networks.generator_ab], paintings)
    there = {"photo": photos, "painted": fake_b, "back to photo": cycled_a}
    return _grid({**there, "painting": paintings, "as a photo": fake_a, "back to painting": cycled_b}, group=3)


def save_image(image: Image.Image, path: Path) -> None:
    """Writes a PNG, whole."""
    with written_whole(path) as file:
        image.save(file, "PNG")


def _grid(columns: dict[str, Tensor], group: int) -> Image.Image:
    """Draws images by their titles, (N, 3, H, W) each, as columns."""
    pixels = [to_pixels(images) for images in columns.values()]
    return image_grid(list(zip(*pixels, strict=True)), list(columns), group)


def _passed_on(generators: Sequence[nn.Module], images: Tensor) -> list[Tensor]:
    """Passes images through one generator after the other, and returns what each makes of them."""
    training = [generator.training for generator in generators]
    found = []
    try:
        for generator in generators:
            generator.eval()
            images = torch.cat([generator(image[None]) for image in images])  # one at a time: memory must suffice
            found.append(images)
    finally:
        for generator, mode in zip(generators, training, strict=True):
            generator.train(mode)
    return found
