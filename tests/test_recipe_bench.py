"""The bench that compares recipes: its plan, what it does again, and its table."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import monet
from monet.errors import InputError
from tests.benchmarks.recipes import quiet
from tests.benchmarks.recipes.plan import Cell, Plan, read_plan
from tests.benchmarks.recipes.quiet import Company, together
from tests.benchmarks.recipes.sheet import draw_sheet
from tests.benchmarks.recipes.table import draw, rows
from tests.benchmarks.recipes.training import Parts, is_trained, train
from tests.benchmarks.recipes.work import Result, Results, fill
from tests.conftest import TINY, TINY_SETTINGS

PLAN = """
recipe: quick-cpu
ends: [5m, 30m in all, 2000 pairs]
seeds: [0, 1]
variants:
  today: {}
  weak cycle: {training.lambda_cycle: 1.0, data.rotate: 5}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return read_plan(path)


def result(cell: Cell, fid: float, quiet: bool = True) -> Result:
    return Result(
        key=cell.key,
        variant=cell.variant,
        end=cell.end,
        seed=cell.seed,
        pairs=600,
        seconds=300.0,
        fid=fid,
        mifid=fid,
        memorization_distance=0.2,
        kid=0.01,
        seconds_a_photo=0.01,
        quiet=quiet,
        others=0.0,
        flops=1e12,
    )


def test_a_plan_is_variants_times_ends_times_seeds_with_their_settings(plan: Plan) -> None:
    assert len({cell.key for cell in plan.cells}) == len({cell.name for cell in plan.cells}) == 2 * 3 * 2
    weak = [cell for cell in plan.cells if (cell.variant, cell.seed) == ("weak cycle", 1)]
    settings = ["--training.lambda_cycle", "1.0", "--data.rotate", "5", "--training.seed", "1"]
    assert [cell.words for cell in weak] == [
        [*settings, "--horizon", "5m"],
        [*settings, "--budget", "30m"],
        [*settings, "--data.samples_per_epoch", "2000", "--training.epochs", "1"],
    ]
    assert [cell.submits for cell in weak] == [False, True, False]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("5m,", "5 minutes,", "5 minutes"),
        ("2000 pairs", "many pairs", "many pairs"),
        ("lambda_cycle", "lambda_cycles", "lambda_cycle"),
        ("seeds", "seed", "seeds"),
        ("quick-cpu", "quick", "quick"),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_is_trained(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.replace(old, new))
    with pytest.raises(InputError, match=message):
        read_plan(path)


def test_what_is_known_is_not_done_again_and_what_has_changed_is(plan: Plan, tmp_path: Path) -> None:
    done: list[Cell] = []

    def do(wave: Sequence[Cell]) -> list[Result]:
        done.extend(wave)
        return [result(cell, 0.5) for cell in wave]

    fill(plan.cells[:3], Results(tmp_path / "results.jsonl"), 2, do, say=lambda _: None)
    fill(plan.cells[:4], Results(tmp_path / "results.jsonl"), 2, do, say=lambda _: None)
    assert done == list(plan.cells[:4])
    changed = replace(plan.cells[0], settings=("--training.ema", "0.99"))
    fill([changed], Results(tmp_path / "results.jsonl"), 1, do, say=lambda _: None)
    assert done[4:] == [changed]


def test_the_table_has_means_with_errors_and_differences_paired_by_seeds(plan: Plan, tmp_path: Path) -> None:
    cells = {(cell.variant, cell.seed): cell for cell in plan.cells if cell.end == "5m"}
    scores = {("today", 0): 0.60, ("today", 1): 0.70, ("weak cycle", 0): 0.51, ("weak cycle", 1): 0.59}
    results = [result(cells[key], fid, quiet=key != ("weak cycle", 1)) for key, fid in scores.items()]
    table = rows(plan, results)
    assert table == [
        ["5m", "today", "2", "600", "2.00", "0.6500 ± 0.0500", "", "0.2000", "10", "quiet"],
        ["5m", "weak cycle", "2", "600", "2.00", "0.5500 ± 0.0400", "-0.1000 ± 0.0100", "0.2000", "10", "NOT QUIET"],
    ]
    draw(plan, results, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_the_sheet_shows_photos_beside_what_each_trained_variant_makes_of_them(
    plan: Plan, tiny_data: Path, tmp_path: Path
) -> None:
    photos = sorted((tiny_data / "testA").iterdir())[:3]
    draw_sheet(plan.cells, tmp_path, photos, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()
    trained = next(cell for cell in plan.cells if (cell.variant, cell.seed) == ("weak cycle", 1))
    monet.train(tiny_data, run=tmp_path / trained.name, settings={"training.epochs": 1, **TINY_SETTINGS})
    Parts(trained, tmp_path).begin()
    draw_sheet(plan.cells, tmp_path, photos, tmp_path / "sheet.png")
    translator = monet.load(tmp_path / trained.name / "checkpoints" / "last.pt")
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet)
    for photo in photos:
        with Image.open(photo) as image:
            for shown in (image, translator.translate(image)):
                assert _holds(pixels, np.asarray(shown))


def _holds(sheet: np.ndarray, tile: np.ndarray) -> bool:
    """Returns whether a picture is somewhere in another."""
    height, width = tile.shape[:2]
    corners = np.argwhere((sheet[: 1 - height, : 1 - width] == tile[0, 0]).all(axis=2))
    return any(np.array_equal(sheet[y : y + height, x : x + width], tile) for y, x in corners)


@pytest.mark.parametrize(
    ("share", "after", "quiet"), [(0.01, 1.0e12, True), (0.2, 1.0e12, False), (0.01, 0.5e12, False)]
)
def test_a_machine_is_quiet_where_nothing_else_computes_and_its_speed_stays(
    share: float, after: float, quiet: bool
) -> None:
    assert Company(share, 1.0e12, after, 60.0).quiet == quiet


def test_parts_of_a_training_are_quiet_where_each_is_though_machines_differ_between_them() -> None:
    first, second = Company(0.0, 1.0e12, 1.1e12, 60.0), Company(1 / 64, 0.5e12, 0.5e12, 60.0)
    both = together([first, second])
    assert both == Company(1 / 128, 1.0e12, 1.1e12, 120.0)
    assert both.quiet
    assert not together([first, Company(0.0, 1.0e12, 0.5e12, 60.0)]).quiet


def end_its_child() -> None:
    """Ends the process that this one starts next, once it has trained for a while."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):  # another one that has just ended
                words = child.cmdline()
                if "pipelines.train" in words and _steps(Path(words[words.index("--run") + 1])) > 2:
                    child.terminate()
                    return
        time.sleep(0.1)


def _steps(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.exists() else 0


def test_a_training_that_was_broken_off_is_continued_and_one_that_has_changed_begins_anew(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "speed", lambda: 1.0e12)
    cell = Cell("quick-cpu", "today", tuple(TINY), 0, "8s")
    ended = threading.Thread(target=end_its_child)
    ended.start()
    with pytest.raises(InputError, match="exit code 143"):
        train([cell], tiny_data, tmp_path)
    ended.join()
    assert not is_trained(cell, tmp_path)
    before = metrics(tmp_path / cell.name)
    train([cell], tiny_data, tmp_path)
    assert is_trained(cell, tmp_path)
    assert metrics(tmp_path / cell.name)[: len(before)] == before
    assert Parts(cell, tmp_path).company().seconds > 8
    changed = replace(cell, settings=(*cell.settings, "--training.ema", "0.9"))
    assert not is_trained(changed, tmp_path)
    Parts(cell, tmp_path).begin()
    assert not Parts(cell, tmp_path).company().quiet, "a part that nobody observed to its end"


def metrics(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
