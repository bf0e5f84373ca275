"""Photos through a generator into JPEG files, with decoding, network and encoding overlapped."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from monet.archive import member_names, writing
from monet.clock import Clock
from monet.config import GenerationConfig
from monet.data.decode import UnreadableImage, decode
from monet.data.pixels import Pixels, to_jpeg, to_network, to_pixels
from monet.data.store import BadImage
from monet.device import Precision, autocast, synchronize
from monet.distributed import Group
from monet.errors import MonetError
from monet.machine import available_processors
from monet.sizes import SIDE
from monet.threads import ahead, compute_threads, thread_pool


class Painter:
    """Paints photos with one generator.

    Args:
        generator: (B, 3, 256, 256) in −1…1 => the same.
        device: where it is moved to.
        precision: of its convolutions.
        batch_size: photos that go through it together.
        quality: JPEG quality, 1 to 100; chroma is kept whole (4:4:4).
        workers: threads that decode and encode; by default one a processor.
    """

    def __init__(
        self,
        generator: nn.Module,
        *,
        device: torch.device,
        precision: Precision,
        batch_size: int = 8,
        quality: int = 95,
        workers: int | None = None,
    ) -> None:
        self._generator = generator.to(device).to(memory_format=torch.channels_last).eval()
        self.device = device
        """Where it paints."""
        self._precision = precision
        self.batch_size = batch_size
        self._quality = quality
        self.workers = workers or available_processors()
        self.busy_batches = math.ceil(2 * self.workers / batch_size)
        """Batches that hold two photos for each worker."""

    def paint_archive(
        self,
        photos: Sequence[Path],
        path: Path,
        on_batch: Callable[[int], None] = lambda _: None,
        group: Group | None = None,
    ) -> int:
        """Paints photos into an archive, one 256×256 JPEG each, under flat unique names.

        Several processes take the batches in turns; the first one writes what they all painted.

        Args:
            photos: the files; any size (shorter side to 256, centre square).
            path: the archive; it takes this name only when it is complete.
            on_batch: called with the number of photos of each batch that is written.
            group: the processes that paint together; each is to call this with the same photos.

        Returns:
            The number of images written by this process.

        Raises:
            MonetError: the archive cannot be written, or a photo cannot be read; `unreadable` finds such photos
                beforehand.
        """
        group = group or Group()
        starts = range(0, len(photos), self.batch_size)
        own = starts[group.rank :: group.world_size]
        mine = [photo for start in own for photo in photos[start : start + self.batch_size]]
        with contextlib.closing(self.paint(mine)) as painting:
            rounds = (group.gather_object(next(painting, [])) for _ in starts[:: group.world_size])
            if group.rank:
                for _ in rounds:
                    pass
                return 0
            names = iter(member_names(photos))
            with writing(path) as archive:
                for batch in itertools.chain.from_iterable(rounds):
                    for jpeg in batch:
                        archive.add(next(names), jpeg)
                    on_batch(len(batch))
        return archive.count

    def paint(self, photos: Sequence[Path]) -> Generator[list[bytes], None, None]:
        """Paints photos, in order.

        Yields:
            The JPEG files of a batch.
        """
        starts = range(0, len(photos), self.batch_size)
        batches = (photos[start : start + self.batch_size] for start in starts)
        return self._paint_singly(batches) if self.device.type == "cpu" else self._paint_batches(batches)

    def _paint_batches(self, batches: Iterable[Sequence[Path]]) -> Generator[list[bytes], None, None]:
        """Decodes and encodes in threads, while this one keeps the accelerator busy."""
        with thread_pool(self.workers) as pool:
            decoding = ahead(([pool.submit(_decoded, photo) for photo in batch] for batch in batches), 2)
            translated = (self._translate([future.result() for future in batch]) for batch in decoding)
            encoding = ahead(([pool.submit(self._encode, pixels) for pixels in batch] for batch in translated), 2)
            for batch in encoding:
                yield [future.result() for future in batch]

    def _paint_singly(self, batches: Iterable[Sequence[Path]]) -> Generator[list[bytes], None, None]:
        """Gives every processor whole photos of its own, from file to JPEG.

        One image at a time stays in the caches, which is over twice as fast as eight together; and no thread waits for
        another, which costs most when something else keeps a processor busy.
        """
        with compute_threads(self.workers) as pool:
            painting = ([pool.submit(self._paint_one, photo) for photo in batch] for batch in batches)
            for batch in ahead(painting, self.busy_batches + 1):
                yield [future.result() for future in batch]

    def _paint_one(self, photo: Path) -> bytes:
        return self._encode(self._translate([_decoded(photo)])[0])

    def _translate(self, photos: list[Pixels]) -> Pixels:
        """Paints photos: (256, 256, 3) uint8 each => (B, 256, 256, 3) uint8."""
        batch = to_network(torch.from_numpy(np.stack(photos)), self.device)
        return to_pixels(run_generator(self._generator, batch, self.device, self._precision))

    def _encode(self, pixels: Pixels) -> bytes:
        return to_jpeg(pixels, self._quality, "4:4:4")


def make_painter(
    generator: nn.Module,
    settings: GenerationConfig,
    *,
    device: torch.device,
    precision: Precision,
    workers: int | None = None,
) -> Painter:
    """Returns a painter with the settings of a run."""
    return Painter(
        generator,
        device=device,
        precision=precision,
        batch_size=settings.batch_size,
        quality=settings.quality,
        workers=workers,
    )


def _decoded(photo: Path) -> Pixels:
    try:
        return decode(photo, SIDE)
    except UnreadableImage as error:
        raise MonetError(f"{photo} can no longer be read ({error}): bring it back, then paint again") from error


def run_generator(generator: nn.Module, batch: Tensor, device: torch.device, precision: Precision) -> Tensor:
    """Runs a generator without gradients: in its precision, and once more in fp32 where that gives no numbers.

    Args:
        generator: (B, 3, H, W) in −1…1 => the same.
        batch: its input, on the device.
        device: where it runs.
        precision: of its convolutions.

    Raises:
        MonetError: its weights give values that are not numbers in fp32, too.
    """
    precisions: list[Precision] = [precision, "fp32"]
    for tried in precisions:
        with torch.inference_mode(), autocast(device, tried):
            generated = generator(batch)
        if not bool(generated.isnan().any()):
            return generated
    raise MonetError("the generator's weights turn a photo into values that are not finite: use another checkpoint")


def seconds_per_photo(painter: Painter, photos: Sequence[Path], clock: Clock, at_least: float = 1.0) -> float:
    """Times the painting of some batches, from file to JPEG, start and end included.

    One batch comes first that is not timed: at the first one kernels are chosen, memory is taken, and what a device
    still has to do, such as training steps that are queued, is waited for.

    Args:
        painter: what is timed.
        photos: some photos; repeated as often as it takes.
        clock: tells the time.
        at_least: seconds; ever more photos are painted until they take that long, so that neither the start nor the
            end weighs much.
    """

    def seconds(count: int) -> float:
        start = clock()
        for _ in painter.paint([photos[index % len(photos)] for index in range(count)]):
            pass
        synchronize(painter.device)
        return clock() - start

    seconds(painter.batch_size)
    count = painter.batch_size * painter.busy_batches
    while True:
        if (took := seconds(count)) >= at_least:
            return took / count
        count *= math.ceil(min(16.0, max(2.0, at_least / took))) if took > 0 else 16


def unreadable(photos: Sequence[Path], workers: int | None = None) -> list[BadImage]:
    """Returns the photos that cannot be read: every one is decoded, and nothing is kept."""

    def problem(photo: Path) -> BadImage | None:
        try:
            decode(photo)
        except UnreadableImage as error:
            return BadImage(photo, str(error))
        return None

    workers = workers or available_processors()
    with thread_pool(workers) as pool:
        decoding = ahead((pool.submit(problem, photo) for photo in photos), 4 * workers)  # few futures at a time
        return [bad for future in decoding if (bad := future.result()) is not None]
