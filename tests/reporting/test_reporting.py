from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from monet.models import Networks
from monet.reporting import curves
from monet.reporting.curves import panels, save_curves, smoothed
from monet.reporting.grids import image_grid, save_image, translation_grid


class Shift(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return x + self.by


def square(value: int) -> np.ndarray:
    return np.full((32, 32, 3), (value, 0, value), np.uint8)


def test_a_grid_shows_every_image_in_its_place() -> None:
    grid = np.asarray(image_grid([[square(10), square(20)], [square(30), square(40)]], ["left", "right"]))
    values = (10, 20, 30, 40)
    found = {value: (grid == (value, 0, value)).all(-1) for value in values}
    centres = {value: np.argwhere(found[value]).mean(0) for value in values}
    assert all(found[value].sum() == 32 * 32 for value in values)
    assert centres[10][0] == centres[20][0] < centres[30][0] == centres[40][0]
    assert centres[10][1] == centres[30][1] < centres[20][1] == centres[40][1]


def test_groups_of_columns_stand_apart() -> None:
    row = [square(value) for value in (10, 20, 30, 40)]
    close, apart = (image_grid([row], list("abcd"), group=group) for group in (0, 2))
    assert apart.width == close.width + 12


def test_photos_go_there_and_back_and_paintings_too() -> None:
    networks = Networks(Shift(0.5).train(), Shift(-0.25).train(), nn.Identity(), nn.Identity())
    photos, paintings = torch.full((2, 3, 32, 32), -0.5), torch.full((2, 3, 32, 32), 0.25)
    grid = np.asarray(translation_grid(networks, photos, paintings))
    found = [grid[60, 12 + 16 + column * 36 + (12 if column > 2 else 0), 0] for column in range(6)]
    expected = [-0.5, 0.0, -0.25, 0.25, 0.0, 0.5]
    assert np.abs(np.array(found, float) - (np.array(expected) + 1) * 127.5).max() <= 1
    assert networks.generator_ab.training  # left as it came


def test_without_a_way_back_the_grid_has_photos_and_their_paintings_alone() -> None:
    networks = Networks(Shift(0.5), Shift(-0.25), nn.Identity(), nn.Identity())
    photos = torch.full((2, 3, 32, 32), -0.5)
    grid = np.asarray(translation_grid(networks, photos, photos, back=False))
    assert grid.shape[1] == 12 + 2 * 36 - 4 + 12
    found = [float(grid[60, 12 + 16 + column * 36, 0]) for column in range(2)]
    assert found == pytest.approx([63.75, 127.5], abs=1)


def steps(count: int) -> list[dict[str, object]]:
    names = ["adversarial_ab", "adversarial_ba", "cycle_a", "cycle_b", "discriminator_a", "discriminator_b"]
    return [
        {
            "pairs": step,
            "seconds": 2.0 * step,
            "learning_rate": 2e-4,
            "pairs_per_second": 3.0,
            "losses": dict.fromkeys(names, 1.0 + 1 / (step + 1)),
        }
        for step in range(count)
    ]


def test_losses_that_a_run_does_not_have_get_no_curve_and_the_others_do() -> None:
    found = steps(3)
    for step in found:
        step["losses"] = {"adversarial_ab": 0.5, "discriminator_b": 0.2}
    titles = ["Generators, adversarial", "Discriminators", "Learning rate", "Pairs a second"]
    assert list(panels(found)) == titles


def test_curves_are_drawn_from_the_metrics_whatever_their_length(tmp_path: Path) -> None:
    for count in (1, 2, 500):
        save_curves(steps(count), tmp_path / "curves.png")
        image = Image.open(tmp_path / "curves.png")
        assert image.size[0] > 900
        assert len(np.unique(np.asarray(image.convert("L")))) > 50


def test_a_panel_more_than_the_usual_ones_is_drawn_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_curves(steps(9), tmp_path / "usual.png")
    more = {"Another loss": ("cycle_a",), "One more": ("cycle_b",)}
    monkeypatch.setattr(curves, "_PANELS", {**curves._PANELS, **more})
    save_curves(steps(9), tmp_path / "more.png")
    usual, larger = (Image.open(tmp_path / f"{name}.png").size[1] for name in ("usual", "more"))
    assert larger == 1.5 * usual


def test_smoothing_keeps_a_constant_and_evens_out_noise() -> None:
    assert np.allclose(smoothed(np.full(300, 2.5)), 2.5)
    noise = np.random.default_rng(0).normal(size=5000)
    assert smoothed(noise).std() < 0.15 * noise.std()
    assert smoothed(np.array([4.0])).tolist() == [4.0]


def test_smoothing_is_the_mean_of_the_neighbours_that_are_known() -> None:
    values = np.random.default_rng(0).normal(size=400)
    values[100:150] = np.nan
    expected = [np.nanmean(values[max(0, i - 4) : i + 5]) if not 104 <= i < 146 else np.nan for i in range(400)]
    assert np.allclose(smoothed(values), np.array(expected), equal_nan=True)


def test_an_image_is_written_whole(tmp_path: Path) -> None:
    save_image(Image.new("RGB", (5, 5)), tmp_path / "samples" / "x.png")
    assert Image.open(tmp_path / "samples" / "x.png").size == (5, 5)
