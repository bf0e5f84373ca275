from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from monet.config import DataConfig
from monet.data.augment import Augmentation
from monet.data.stream import Purpose, uniforms


def images(count: int = 4, side: int = 48) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def augmented(config: DataConfig, batch: torch.Tensor, pairs: list[int], seed: int = 0) -> torch.Tensor:
    return Augmentation(config, seed)(batch, pairs, Purpose.AUGMENT_A)


def test_output_has_the_crops_size_and_lies_between_minus_one_and_one() -> None:
    output = augmented(DataConfig(load_size=56, crop_size=32, rotate=20, color_jitter=0.5), images(), [0, 1, 2, 3])
    assert output.shape == (4, 3, 32, 32)
    assert output.dtype == torch.float32
    assert output.min() >= -1
    assert output.max() <= 1


def test_an_image_depends_on_seed_and_pair_alone_not_on_its_batch() -> None:
    config = DataConfig(load_size=56, crop_size=32, rotate=10, color_jitter=0.3)
    batch = images(1).expand(4, -1, -1, -1)
    together = augmented(config, batch, [5, 6, 7, 8])
    for row, pair in enumerate([5, 6, 7, 8]):
        assert torch.allclose(augmented(config, batch[:1], [pair]), together[row : row + 1], atol=1e-6)
    assert not torch.allclose(together[0], together[1])
    assert not torch.allclose(augmented(config, batch, [5, 6, 7, 8], seed=1), together)


def literal(image: torch.Tensor, config: DataConfig, pair: int) -> torch.Tensor:
    """Flip, then slice, as one would write it by hand."""
    draws = uniforms(0, Purpose.AUGMENT_A, pair, 8)
    (side, _), (height, width) = config.load, config.crop
    left, top = int(draws[0] * (side - width + 1)), int(draws[1] * (side - height + 1))
    values = image.float() / 127.5 - 1
    if config.flip and draws[2] < 0.5:
        values = values.flip(-1)
    return values[:, top : top + height, left : left + width]


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("crop", [32, (24, 40), (48, 30)])
def test_without_a_resize_crops_and_flips_copy_pixels(flip: bool, crop: int | tuple[int, int]) -> None:
    config = DataConfig(load_size=48, crop_size=crop, flip=flip)
    batch, pairs = images(40, 48), list(range(40))
    output = augmented(config, batch, pairs)
    expected = torch.stack([literal(image, config, pair) for image, pair in zip(batch, pairs, strict=True)])
    assert (output - expected).abs().max() < 1e-3


def test_every_offset_occurs_and_half_of_the_images_are_mirrored() -> None:
    augmentation = Augmentation(DataConfig(load_size=36, crop_size=32), 0)
    draws = np.stack([uniforms(0, Purpose.AUGMENT_A, pair, 8) for pair in range(2000)])
    maps = augmentation.affine_maps(draws, (36, 36))
    mirrored = maps[:, 0, 0] < 0
    assert 0.46 < mirrored.mean() < 0.54
    assert set(np.rint(-maps[~mirrored, 0, 2]).astype(int)) == set(range(5))
    assert set(np.rint(-maps[:, 1, 2]).astype(int)) == set(range(5))


def test_enlarging_agrees_with_pytorchs_bicubic_resize() -> None:
    config = DataConfig(load_size=72, crop_size=72, flip=False)
    smooth = F.interpolate(torch.rand(1, 3, 6, 6), 48, mode="bicubic").clamp(0, 1)
    stored = (smooth * 255).round().to(torch.uint8)
    output = augmented(config, stored, [0])
    expected = F.interpolate(stored.float() / 255, 72, mode="bicubic", align_corners=False).clamp(0, 1) * 2 - 1
    assert (output - expected)[..., 3:-3, 3:-3].abs().max() < 2e-3
    assert (output - expected).abs().max() < 0.05  # the borders are reflected here, replicated there


def test_a_rotation_turns_about_the_centre() -> None:
    config = DataConfig(load_size=48, crop_size=48, flip=False, rotate=180)
    draws = np.full((1, 8), 0.5)
    draws[0, 3] = 1.0 - 1e-12  # the largest angle
    linear = Augmentation(config, 0).affine_maps(draws, (48, 48))[0]
    assert np.allclose(linear @ [23.5, 23.5, 1], [23.5, 23.5])
    assert np.allclose(linear @ [0, 0, 1], [47, 47], atol=1e-6)


def test_rotation_stays_within_its_bounds() -> None:
    config = DataConfig(load_size=48, crop_size=48, flip=False, rotate=7)
    draws = np.stack([uniforms(0, Purpose.AUGMENT_A, pair, 8) for pair in range(1000)])
    maps = Augmentation(config, 0).affine_maps(draws, (48, 48))
    angles = np.rad2deg(np.arctan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert -7 <= angles.min() < -6
    assert 6 < angles.max() <= 7


def test_no_jitter_leaves_colours_as_they_are_and_jitter_changes_them() -> None:
    flat = torch.full((1, 3, 48, 48), 100, dtype=torch.uint8)
    flat[:, 1] = 150
    plain = augmented(DataConfig(load_size=48, crop_size=48), flat, [0])
    assert torch.allclose(plain[0, :, 5, 5], torch.tensor([100, 150, 100]) / 127.5 - 1, atol=1e-3)
    config = DataConfig(load_size=48, crop_size=48, color_jitter=0.2)
    shifts = torch.cat([augmented(config, flat, [pair]) - plain for pair in range(60)]).mean((2, 3))
    assert shifts.std(0).min() > 0.03
    assert shifts.mean(0).abs().max() < 0.08
    assert shifts.abs().max() < 0.8


def test_the_smallest_jitter_is_nearly_nothing() -> None:
    batch = images()
    plain = augmented(DataConfig(load_size=48, crop_size=48), batch, [0, 1, 2, 3])
    jittered = augmented(DataConfig(load_size=48, crop_size=48, color_jitter=1e-4), batch, [0, 1, 2, 3])
    assert (plain - jittered).abs().max() < 2e-3


def test_images_of_any_ratio_are_cropped_anywhere_and_keep_it() -> None:
    config = DataConfig(resize="shorter", load_size=40, crop_size=(32, 36), flip=False)
    ramps = [
        torch.arange(width).expand(3, height, width).to(torch.uint8).clone() for height, width in ((40, 90), (90, 40))
    ]
    pairs = list(range(60))
    output = Augmentation(config, 0)([ramps[pair % 2] for pair in pairs], pairs, Purpose.AUGMENT_A)
    assert output.shape == (60, 3, 32, 36)
    lefts = ((output[:, 0, 0, 0] + 1) * 127.5).round()
    steps = (output[..., 1:] - output[..., :-1]) * 127.5
    assert (steps - 1).abs().max() < 1e-2  # no pixel is stretched
    assert set(lefts[1::2].int().tolist()) == set(range(5))
    assert lefts[::2].max() > 45


def test_an_image_is_enlarged_where_the_crop_needs_it() -> None:
    config = DataConfig(resize="shorter", load_size=32, crop_size=(32, 64))
    augmentation = Augmentation(config, 0)
    assert augmentation.loaded_size((40, 50)) == (51, 64)
    assert augmentation.loaded_size((30, 200)) == (32, 213)
    image = torch.full((3, 40, 50), 200, dtype=torch.uint8)
    assert augmentation([image], [0], Purpose.AUGMENT_A).shape == (1, 3, 32, 64)


def test_an_exact_size_may_have_another_ratio_than_the_image() -> None:
    config = DataConfig(resize="exact", load_size=(40, 60), crop_size=(40, 60), flip=False)
    ramp = torch.linspace(0, 255, 60).expand(1, 3, 40, 60).to(torch.uint8)
    output = augmented(config, ramp, [0])
    assert ((output + 1) * 127.5 - ramp).abs().max() < 0.1
