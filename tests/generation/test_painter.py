from __future__ import annotations

import io
import platform
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from monet.archive import validate
from monet.data.decode import decode
from monet.data.layout import list_images
from monet.errors import MonetError
from monet.generation.painter import Painter, seconds_per_photo, unreadable
from monet.models import ResnetGenerator
from tests.conftest import FakeClock, fill_folder

CPU = torch.device("cpu")


class Negative(nn.Module):
    """Paints a photo's negative, and keeps how many photos came at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        return -x


def painter(generator: nn.Module | None = None, **options: object) -> Painter:
    return Painter(generator or Negative(), device=CPU, precision="fp32", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return list_images(fill_folder(tmp_path_factory.mktemp("p") / "photos", 11, 0, (256, 256)))


def test_every_photo_is_painted_in_order_under_its_own_name(photos: tuple[Path, ...], tmp_path: Path) -> None:
    generator = Negative()
    count = painter(generator, batch_size=4, quality=100).paint_archive(photos, tmp_path / "images.zip")
    assert count == 11
    assert generator.batches == [1] * 11  # each processor has photos of its own
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        assert archive.namelist() == [photo.name for photo in photos]
        for photo in photos:
            painted = np.asarray(Image.open(io.BytesIO(archive.read(photo.name)))).astype(int)
            assert np.abs(painted - (255 - decode(photo).astype(int))).max() <= 6
    assert validate(tmp_path / "images.zip", "any").valid


def test_paintings_are_rgb_jpeg_with_whole_chroma_of_the_asked_quality(photos: tuple[Path, ...]) -> None:
    sizes = {}
    for quality in (50, 95):
        jpeg = next(painter(quality=quality).paint(photos[:1]))[0]
        image = Image.open(io.BytesIO(jpeg))
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (256, 256))
        assert [component[1:3] for component in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
        sizes[quality] = len(jpeg)
    assert sizes[50] < sizes[95]


def test_the_batch_size_makes_no_difference(photos: tuple[Path, ...]) -> None:
    alone = [jpeg for batch in painter(batch_size=1).paint(photos) for jpeg in batch]
    together = [jpeg for batch in painter(batch_size=8).paint(photos) for jpeg in batch]
    assert alone == together


def test_batches_as_an_accelerator_takes_them_give_the_same_files_in_order(photos: tuple[Path, ...]) -> None:
    generator = Negative()
    one = painter(generator, batch_size=4)
    batches = [photos[start : start + 4] for start in range(0, 11, 4)]
    together = [list(batch) for batch in one._paint_batches(batches)]
    assert generator.batches == [4, 4, 3]
    assert together == [list(batch) for batch in one.paint(photos)]


def test_photos_of_any_size_become_256_squares(tmp_path: Path) -> None:
    photos = list_images(fill_folder(tmp_path / "odd", 3, 0, (300, 90)))
    assert all(Image.open(io.BytesIO(j)).size == (256, 256) for batch in painter().paint(photos) for j in batch)


def test_progress_is_told_batch_by_batch(photos: tuple[Path, ...], tmp_path: Path) -> None:
    told: list[int] = []
    painter(batch_size=5).paint_archive(photos, tmp_path / "x.zip", told.append)
    assert told == [5, 5, 1]


def test_few_batches_are_in_memory_at_a_time(photos: tuple[Path, ...]) -> None:
    generator = Negative()
    ahead = []
    for done, _ in enumerate(painter(generator, batch_size=1, workers=2).paint(photos * 4), start=1):
        ahead.append(len(generator.batches) - done)
    assert max(ahead) <= 5


def test_a_failure_in_the_middle_leaves_no_archive_and_no_threads(photos: tuple[Path, ...], tmp_path: Path) -> None:
    class Failing(Negative):
        def forward(self, x: Tensor) -> Tensor:
            if len(self.batches) == 2:
                raise RuntimeError("boom")
            return super().forward(x)

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="boom"):
        painter(Failing(), batch_size=2).paint_archive(photos, tmp_path / "images.zip")
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before


def test_a_photo_that_becomes_unreadable_stops_the_painting(photos: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(MonetError, match=r"gone.jpg can no longer be read \(no such file or directory\)"):
        painter().paint_archive([*photos, tmp_path / "gone.jpg"], tmp_path / "images.zip")
    assert list(tmp_path.iterdir()) == []


def test_unreadable_photos_are_all_found_beforehand(photos: tuple[Path, ...], tmp_path: Path) -> None:
    (tmp_path / "torn.jpg").write_bytes(photos[0].read_bytes()[:500])
    (tmp_path / "text.jpg").write_text("no")
    found = unreadable([photos[0], tmp_path / "torn.jpg", photos[1], tmp_path / "text.jpg"])
    assert [(bad.path.name, bad.reason) for bad in found] == [("torn.jpg", "truncated"), ("text.jpg", "not an image")]


def test_the_probe_times_whole_batches_from_file_to_jpeg(photos: tuple[Path, ...]) -> None:
    clock = FakeClock()

    class Slow(Negative):
        def forward(self, x: Tensor) -> Tensor:
            clock.advance(0.25 * len(x))
            return super().forward(x)

    generator = Slow()
    probed = painter(generator, batch_size=2, workers=2)
    assert seconds_per_photo(probed, photos[:3], clock, at_least=3) == pytest.approx(0.25)
    # A batch of two is not timed; four take 1 s, which is too little to go by; three times as many take 3 s.
    assert len(generator.batches) == 2 + 4 + 12


def test_the_probe_leaves_a_cold_start_out(photos: tuple[Path, ...]) -> None:
    clock = FakeClock()

    class Cold(Negative):
        def forward(self, x: Tensor) -> Tensor:
            clock.advance(0.02 * len(x) if self.batches else 1.5)
            return super().forward(x)

    probed = painter(Cold(), batch_size=8, workers=1)
    assert 7000 * seconds_per_photo(probed, photos, clock) == pytest.approx(140)  # and not 1,460 s


def test_the_probe_waits_for_what_the_device_still_has_to_do(
    photos: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, queued = FakeClock(), [0.9]

    def finish(_: torch.device) -> None:
        clock.advance(queued[0])
        queued[0] = 0.0

    class Queued(Negative):
        def forward(self, x: Tensor) -> Tensor:
            clock.advance(0.02 * len(x))
            queued[0] += 0.1 * len(x)
            return super().forward(x)

    monkeypatch.setattr("monet.generation.painter.synchronize", finish)
    probed = painter(Queued(), batch_size=1, workers=1)
    assert seconds_per_photo(probed, photos, clock, at_least=0.1) == pytest.approx(0.12)


class Overflowing(Negative):
    """Makes values that are not finite in half precision, or always."""

    def __init__(self, *, always: bool) -> None:
        super().__init__()
        self.always = always

    def forward(self, x: Tensor) -> Tensor:
        painted = super().forward(x)
        return painted * float("nan") if self.always or torch.is_autocast_enabled("cpu") else painted


def test_what_overflows_in_half_precision_is_painted_in_single_precision(photos: tuple[Path, ...]) -> None:
    precise = Painter(Overflowing(always=False), device=CPU, precision="bf16")
    assert list(precise.paint(photos)) == list(painter().paint(photos))


def test_values_that_are_no_numbers_are_no_painting(photos: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(MonetError, match="turn a photo into values that are not finite: use another checkpoint"):
        painter(Overflowing(always=True)).paint_archive(photos, tmp_path / "images.zip")
    assert list(tmp_path.iterdir()) == []


def test_painting_leaves_the_number_of_threads_as_it_was(photos: tuple[Path, ...]) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        list(painter().paint(photos))
        half = painter(batch_size=1).paint(photos)
        next(half)
        half.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="what other C libraries do with freed memory is their own"
)
def test_memory_that_a_photo_needed_is_used_again_for_the_next(tmp_path: Path) -> None:
    import resource

    photos = [tmp_path / f"{index}.jpg" for index in range(8)]
    for photo in photos:
        Image.new("RGB", (256, 256), (9, 99, 199)).save(photo)
    engine = painter(ResnetGenerator(width=8, residual_blocks=1), workers=1)
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        assert sum(len(batch) for batch in engine.paint(photos)) == len(photos)
    pages = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / len(photos)
    assert pages < 300  # an activation at full resolution alone is 512 pages of 4 KiB
