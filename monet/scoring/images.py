"""A set of images to score: a folder or an archive, read as it lies there, without unpacking."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from monet import jpeg
from monet.archive import safety_problem
from monet.data.layout import list_images
from monet.data.pixels import Pixels
from monet.errors import InputError
from monet.files import require_regular
from monet.sizes import MAX_PIXELS, PROGRAMS
from monet.threads import ahead, thread_pool
from monet.zips import read_member

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class ImageSet:
    """Images by name, in the order of their names, all of one size.

    Attributes:
        path: a folder or a zip.
        names: of the images in it.
    """

    path: Path
    names: tuple[str, ...]

    def files(self) -> Iterator[bytes]:
        """Returns the bytes of each image, in order; one at a time is in memory.

        Raises:
            InputError: one cannot be read.
        """
        return self.read(self.names)

    def read(self, names: Iterable[str]) -> Iterator[bytes]:
        """Returns the bytes of some images, in the order in which they are asked for.

        Raises:
            InputError: one cannot be read.
        """
        if self.path.is_dir():
            for name in names:
                require_regular(self.path / name)
                try:
                    yield (self.path / name).read_bytes()
                except OSError as error:
                    raise InputError(f"{self.path / name} cannot be read: {error.strerror or error}") from error
            return
        with _opened(self.path) as (file, archive):
            for name in names:
                try:
                    yield read_member(file, archive, archive.getinfo(name))
                except Exception as error:  # damaged members make zipfile and its decompressors raise nearly anything
                    raise InputError(f"{name} in {self.path} cannot be unpacked: {error}") from error

    def digest(self) -> str:
        """Returns the SHA-256 of the content: of every image's own digest, in order. Names and compression play no
        part."""
        whole = hashlib.sha256()
        for data in self.files():
            whole.update(hashlib.sha256(data).digest())
        return whole.hexdigest()

    def batches(self, size: int, workers: int) -> Iterator[Pixels]:
        """Returns decoded images, (B, H, W, 3) uint8 RGB; a few batches ahead are decoded in threads.

        Raises:
            InputError: an image cannot be decoded, or differs in size from the first.
        """
        batch: list[Pixels] = []
        shape: tuple[int, ...] | None = None
        with thread_pool(workers) as pool:
            files = zip(self.names, self.files(), strict=True)
            decoding = ahead((pool.submit(self._decode, name, data) for name, data in files), 2 * size + workers)
            for name, future in zip(self.names, decoding, strict=True):
                pixels = future.result()
                shape = shape or pixels.shape
                if pixels.shape != shape:
                    raise InputError(
                        f"{self.path} holds images of different sizes: {self.names[0]} has "
                        f"{shape[1]}×{shape[0]} pixels, {name} has {pixels.shape[1]}×{pixels.shape[0]}"
                    )
                batch.append(pixels)
                if len(batch) == size:
                    yield np.stack(batch)
                    batch = []
        if batch:
            yield np.stack(batch)

    def _decode(self, name: str, data: bytes) -> Pixels:
        try:
            with Image.open(io.BytesIO(data)) as image:
                if image.format in PROGRAMS:
                    raise ValueError(f"a program in {image.format}, no image")
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f"{image.width}×{image.height} pixels are too many")
                pixels = np.asarray(image.convert("RGB"))
            if data.startswith(jpeg.START) and (fault := jpeg.damage(data)):
                raise ValueError(fault)
        except Exception as error:  # damaged images make Pillow raise nearly anything
            raise InputError(f"{name} in {self.path} cannot be decoded: {error or type(error).__name__}") from error
        return pixels


def open_images(path: Path) -> ImageSet:
    """Finds the images in a folder (not in its folders) or in a zip.

    Raises:
        InputError: there is nothing there, it is no archive, or it holds fewer than two images.
    """
    if path.is_dir():
        names = [file.name for file in list_images(path)]
    elif path.exists():
        with _opened(path) as (_, archive):
            names = _member_names(path, archive)
    else:
        raise InputError(f"no folder or archive {path}")
    if len(names) < 2:
        raise InputError(f"{path} holds {len(names)} image{'' if len(names) == 1 else 's'}: a score needs at least two")
    return ImageSet(path, tuple(sorted(names)))


def _member_names(path: Path, archive: zipfile.ZipFile) -> list[str]:
    """Returns the images in an archive, if all of them may be unpacked."""
    members = [member for member in archive.infolist() if Path(member.filename).suffix.lower() in _SUFFIXES]
    for member in members:
        if problem := safety_problem(member):
            raise InputError(f"{member.filename} in {path} cannot be scored: {problem.message}")
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise InputError(f"{path} holds several images of one name: python -m pipelines.validate names them")
    return names


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], zipfile.ZipFile]]:
    require_regular(path)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
            archive = stack.enter_context(zipfile.ZipFile(file))
        except Exception as error:  # damaged directories make zipfile raise nearly anything
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise InputError(f"{path} is not a zip that can be read: {reason}") from error
        yield file, archive
