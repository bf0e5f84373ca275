"""Which files of a folder are photos to learn from, paintings to learn from, and photos to paint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from monet.errors import InputError

COMPETITION = "gan-getting-started"
"""The competition's name, and that of the folder that its data comes in."""

KAGGLE_MOUNTS = (Path("/kaggle/input/competitions") / COMPETITION, Path("/kaggle/input") / COMPETITION)
"""Where a Kaggle kernel finds the competition's data, the newer place first."""

_LAYOUTS = {"competition": ("photo_jpg", "monet_jpg"), "cyclegan": ("trainA", "trainB")}


@dataclass(frozen=True)
class Layout:
    """The files of a data set, each list sorted by name."""

    kind: Literal["competition", "cyclegan"]
    """`competition`: `photo_jpg/` and `monet_jpg/`; `cyclegan`: `trainA/ trainB/ testA/ testB/`."""
    photos: tuple[Path, ...]
    """Domain a, to learn from."""
    paintings: tuple[Path, ...]
    """Domain b, to learn from."""
    to_paint: tuple[Path, ...]
    """Photos that go into the archive: all of the competition's; `testA` of a CycleGAN set, or `trainA` without it."""
    test_paintings: tuple[Path, ...]
    """Paintings that sample grids show: `testB` of a CycleGAN set, or those to learn from."""

    @property
    def rules(self) -> Literal["kaggle", "any"]:
        """The rules that an archive made from this data set has to keep."""
        return "kaggle" if self.kind == "competition" else "any"


def find_layout(folder: Path) -> Layout:
    """Recognises a data set by the names of its folders.

    Raises:
        InputError: the folder is absent, has neither layout, or one of its parts is empty.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}: give one that holds photo_jpg/ and monet_jpg/, or trainA/ and trainB/")
    if all((folder / name).is_dir() for name in _LAYOUTS["competition"]):
        photos, paintings = (list_images(folder / name) for name in _LAYOUTS["competition"])
        return Layout("competition", photos, paintings, photos, paintings)
    if all((folder / name).is_dir() for name in _LAYOUTS["cyclegan"]):
        photos, paintings = (list_images(folder / name) for name in _LAYOUTS["cyclegan"])
        held_out = (folder / "testA", photos), (folder / "testB", paintings)
        tests = (list_images(test) if test.is_dir() else training for test, training in held_out)
        return Layout("cyclegan", photos, paintings, *tests)
    found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:6]) or "nothing"
    raise InputError(f"{folder} holds {found}: expected photo_jpg/ and monet_jpg/, or trainA/ and trainB/")


def list_images(folder: Path) -> tuple[Path, ...]:
    """Lists the files in a folder by name, without folders and hidden files. A file that is not an image, such as
    text, a named pipe or a link to nothing, shows when it is read.

    Raises:
        InputError: the folder is absent, cannot be read, or holds no file.
    """
    try:
        files = [entry for entry in folder.iterdir() if not entry.is_dir() and not entry.name.startswith(".")]
    except FileNotFoundError:
        raise InputError(f"no folder {folder}: give one that holds images") from None
    except NotADirectoryError:
        raise InputError(f"{folder} is not a folder: give one that holds images") from None
    except OSError as error:
        raise InputError(f"folder {folder} cannot be read: {error.strerror}") from error
    if not files:
        raise InputError(f"folder {folder} holds no files: expected images directly in it")
    return tuple(sorted(files, key=lambda path: path.name))


def find_auto(places: Sequence[Path]) -> Path | None:
    """Returns the first of several places that holds a data set's folder."""
    return next((place for place in places if place.is_dir()), None)


def identity_of(photos: Sequence[Path]) -> str:
    """Returns a digest by which sets of photos are told apart: of their names and sizes, in order."""
    lines = [f"{photo.name} {_size(photo)}" for photo in photos]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _size(path: Path) -> int | None:
    """In bytes; None for a link to nothing."""
    try:
        return path.stat().st_size
    except OSError:
        return None
