"""Pictures out of an archive, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monet.archive import member_names
from monet.data.decode import decode
from monet.data.pixels import to_jpeg
from monet.data.stream import Purpose, permutation
from monet.reporting.report import ClosestPainting
from monet.scoring.evaluation import Evaluation
from monet.scoring.images import ImageSet, open_images
from monet.sizes import SIDE

_SHOWN, _CLOSEST = 6, 4
_QUALITY = 90
"""Of the photos in a page, which are for the eye alone."""


def choose_shown(photos: Sequence[Path]) -> tuple[Path, ...]:
    """Returns the few photos that are shown: always the same ones of the same set."""
    chosen = permutation(0, Purpose.SAMPLE_GRID, 2, len(photos))[:_SHOWN]
    return tuple(photos[index] for index in sorted(chosen))


def painted(archive: Path, photos: Sequence[Path], chosen: Sequence[Path]) -> list[bytes]:
    """Returns the JPEG files of some photos' paintings.

    Args:
        archive: made of `photos`, in this order.
        photos: all of them.
        chosen: whose paintings are wanted.
    """
    names = dict(zip(photos, member_names(photos), strict=True))
    return list(open_images(archive).read([names[photo] for photo in chosen]))


def closest_pictures(
    archive: Path, photos: Sequence[Path], evaluation: Evaluation, paintings: ImageSet
) -> tuple[ClosestPainting, ...]:
    """Returns the generated images that come closest to a training painting, each between its photo and that painting.

    Args:
        archive: made of `photos`, and evaluated.
        photos: all of them.
        evaluation: what was found.
        paintings: those that could have been memorized.
    """
    by_name = dict(zip(member_names(photos), photos, strict=True))
    images, found = open_images(archive), evaluation.closest[:_CLOSEST]
    names = [images.names[item.image] for item in found]
    titles = [paintings.names[item.painting] for item in found]
    return tuple(
        ClosestPainting(
            photo=photo_jpeg(by_name[name]),
            painted=made,
            painting=painting,
            photo_name=by_name[name].name,
            painting_name=title,
            distance=item.distance,
        )
        for item, name, title, made, painting in zip(
            found, names, titles, images.read(names), paintings.read(titles), strict=True
        )
    )


def photo_jpeg(photo: Path) -> bytes:
    """Returns a photo as the generator sees it: 256×256."""
    return to_jpeg(decode(photo, SIDE), _QUALITY)
