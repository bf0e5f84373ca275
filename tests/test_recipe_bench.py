"""The bench that compares recipes: its plan, what it does again, and its table."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import monet
from monet.errors import InputError
from monet.locks import open_locked
from monet.run_folder.lock import RunLock
from tests.benchmarks.recipes import quiet
from tests.benchmarks.recipes.__main__ import main
from tests.benchmarks.recipes.plan import Cell, Plan, read_plan
from tests.benchmarks.recipes.quiet import UNKNOWN, Company
from tests.benchmarks.recipes.sheet import draw_sheet
from tests.benchmarks.recipes.table import draw, rows
from tests.benchmarks.recipes.training import is_trained, train
from tests.benchmarks.recipes.work import Result, Results, Scored, fill
from tests.conftest import TINY, TINY_SETTINGS

PLAN = """
recipe: quick-cpu
ends: [5m, 30m in all, 2000 pairs]
seeds: [0, 1]
variants:
  today: {}
  weak cycle: {training.lambda_cycle: 1.0, data.rotate: 5}
"""

SCORED = Scored(7, "768")


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
        scored=SCORED,
    )


def test_a_plan_is_variants_times_ends_times_seeds_with_their_settings(plan: Plan) -> None:
    assert len({cell.key for cell in plan.cells}) == len({cell.name for cell in plan.cells}) == 2 * 3 * 2
    weak = [cell for cell in plan.cells if (cell.variant, cell.seed) == ("weak cycle", 1)]
    settings = ["--training.lambda_cycle", "1.0", "--data.rotate", "5", "--training.seed", "1"]
    assert [cell.words for cell in weak] == [
        [*settings, "--budget", "null", "--horizon", "5m"],
        [*settings, "--budget", "30m"],
        [
            *(*settings, "--budget", "null", "--horizon", "null"),
            *("--data.samples_per_epoch", "2000", "--training.epochs", "1"),
        ],
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
        ("[0, 1]", "[0, 0]", "twice"),
        ("[0, 1]", "3", "seeds as "),
        ("[5m", "[300", "ends as "),
        ("today", "8", "variants as "),
        ("today: {}", "today: 5", "below variants as "),
        ("recipe: quick-cpu", "recipe: [quick-cpu]", "recipe as "),
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

    fill(plan.cells[:3], Results(tmp_path / "results.jsonl", SCORED), 2, do, say=lambda _: None)
    fill(plan.cells[:4], Results(tmp_path / "results.jsonl", SCORED), 2, do, say=lambda _: None)
    assert done == list(plan.cells[:4])
    changed = replace(plan.cells[0], settings=("--training.ema", "0.99"))
    fill([changed], Results(tmp_path / "results.jsonl", SCORED), 1, do, say=lambda _: None)
    assert done[4:] == [changed]
    for scored in (Scored(1, "768"), Scored(7, "2048")):
        assert Results(tmp_path / "results.jsonl", scored).all == []


def test_the_table_has_means_with_errors_and_differences_paired_by_seeds(plan: Plan, tmp_path: Path) -> None:
    cells = {(cell.variant, cell.seed): cell for cell in plan.cells if cell.end == "5m"}
    scores = {("today", 0): 0.60, ("today", 1): 0.70, ("weak cycle", 0): 0.51, ("weak cycle", 1): 0.59}
    results = [result(cells[key], fid, quiet=key != ("weak cycle", 1)) for key, fid in scores.items()]
    table = rows(plan, results)
    assert table == [
        ["5m", "today", "2", "600", "2.00", "0.6500 ± 0.0500", "", "0.2000", "10", "quiet"],
        ["5m", "weak cycle", "2", "600", "2.00", "0.5500 ± 0.0400", "-0.1000 ± 0.0100", "0.2000", "10", "NOT QUIET"],
    ]
    draw(plan, results, "768", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_the_sheet_shows_photos_beside_what_each_trained_variant_makes_of_them(
    plan: Plan, tiny_data: Path, tmp_path: Path
) -> None:
    photos = sorted((tiny_data / "testA").iterdir())[:3]
    draw_sheet(plan.cells, tmp_path, photos, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()
    trained = next(cell for cell in plan.cells if (cell.variant, cell.seed) == ("weak cycle", 1))
    monet.train(tiny_data, run=tmp_path / trained.name, settings={"training.epochs": 1, **TINY_SETTINGS})
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
    assert Company(share, 1.0e12, after).quiet == quiet


@contextlib.contextmanager
def interrupted_soon(run: Path) -> Iterator[None]:
    """Presses Ctrl-C once a run has trained for a while."""
    over = threading.Event()
    steps = run / "metrics.jsonl"

    def watch() -> None:
        while not over.wait(0.1):
            if steps.exists() and steps.read_text().count("\n") > 2:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return

    watching = threading.Thread(target=watch)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        signal.signal(signal.SIGINT, before)


def test_a_training_that_was_interrupted_is_continued(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "speed", lambda: 1.0e12)
    cell = Cell("quick-cpu", "today", tuple(TINY), 0, "8s")
    run = tmp_path / cell.name
    with pytest.raises(KeyboardInterrupt), interrupted_soon(run):
        train([cell], tiny_data, tmp_path, 1)
    RunLock(run, {}).release()  # the training has saved, and ended, before the bench does
    assert not is_trained(cell, tmp_path)
    before = metrics(run)
    assert train([cell], tiny_data, tmp_path, 1) is UNKNOWN, "not observed as a whole"
    assert is_trained(cell, tmp_path)
    assert len(before) > 2
    assert metrics(run)[: len(before)] == before
    assert train([cell], tiny_data, tmp_path, 1) is UNKNOWN
    assert not is_trained(replace(cell, settings=(*cell.settings, "--training.ema", "0.9")), tmp_path)


def test_a_submission_that_was_broken_off_begins_anew_unless_it_still_runs(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "speed", lambda: 1.0e12)
    cell = Cell("quick-cpu", "today", tuple(TINY), 0, "30s in all")
    left = tmp_path / cell.name / "left"
    left.parent.mkdir()
    left.touch()
    lock = RunLock(left.parent, {})
    with pytest.raises(InputError, match="in use"):
        train([cell], tiny_data, tmp_path, 1)
    assert left.exists()
    lock.release()
    company = train([cell], tiny_data, tmp_path, 1)
    assert (company.before, company.after) == (1.0e12, 1.0e12)
    assert is_trained(cell, tmp_path)
    assert not left.exists()


def test_a_training_that_fails_says_why(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "speed", lambda: 1.0e12)
    cell = Cell("quick-cpu", "today", tuple(TINY), 0, "8s")
    with pytest.raises(InputError, match=r"seed0.* failed with exit code 2: .*nowhere"):
        train([cell], tmp_path / "nowhere", tmp_path, 1)


def metrics(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at-once", "100000"], "--at-once is 100000"),
        (["--every", "0"], "--every is 0"),
        (["--every", "4"], "--every is 4: give 1 to 3"),
        (["--folder", "plan.yaml"], "cannot be written to"),
        (["--data", "OTHER"], "give another --folder"),
        (["--folder", "TORN"], "line 2 of .* is no result"),
        (["--folder", "BUSY"], "is in use by another bench"),
    ],
)
def test_the_bench_says_in_a_line_what_it_cannot_do(
    words: list[str], message: str, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    shutil.copytree(tiny_data, tmp_path / "OTHER")
    given = {"--data": str(tiny_data), "--folder": str(tmp_path / "bench"), "--every": "2"}
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "data.txt").write_text(str(tiny_data))
    for name in ("TORN", "BUSY"):
        (tmp_path / name).mkdir()
    whole = json.dumps(asdict(result(read_plan(tmp_path / "plan.yaml").cells[0], 0.5)))
    (tmp_path / "TORN" / "results.jsonl").write_text(f"{whole}\n{whole[:40]}")
    given |= {name: str(tmp_path / value) if value.isupper() or "." in value else value for name, value in [words]}
    with open_locked(tmp_path / "BUSY" / ".lock"):
        assert main([str(tmp_path / "plan.yaml"), *itertools.chain(*given.items())]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(rf"error: .*{message}.*\n", error)
