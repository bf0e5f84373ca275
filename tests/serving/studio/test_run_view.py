from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path

import pytest

from monet.run_folder.folder import RunFolder
from monet.serving.studio.run_view import charts_page, last_step, report_page, scores_page, status_page

STEP = {
    "step": 2,
    "pairs": 4,
    "progress": 0.25,
    "learning_rate": 2e-4,
    "losses": {"adversarial_ab": 0.5, "discriminator_b": 0.25},
    "seconds": 61.0,
    "pairs_per_second": 2.0,
    "time_left": 183.0,
}
SCORE = {
    "checkpoint": "last.pt",
    "epochs": 3.0,
    "pairs": 24,
    "generator": "0",
    "weights_used": "ema",
    "basis": {"photos": "1"},
    "mifid": 61.5,
    "mifid_low": 60.25,
    "mifid_high": 63.0,
    "fid": 61.0,
    "fid_low": 60.0,
    "fid_high": 62.0,
    "memorization_distance": 0.2,
    "num_generated": 1006,
}


def run_with(folder: Path, steps: str, changed: float = 1000.0) -> RunFolder:
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text(steps)
    os.utime(folder / "metrics.jsonl", (changed, changed))
    return RunFolder(folder)


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_a_run_whose_last_step_is_young_is_being_trained_and_says_how_long(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", json.dumps(STEP) + "\n")
    page = words(status_page(run, now=1010.0))
    assert "Training, 3m03s left" in page
    assert "4 pairs in 1m01s, 2 pairs a second, 25 % done" in page
    assert "adversarial_ab 0.500 , discriminator_b 0.250" in page


def test_a_run_whose_last_step_is_old_is_not_being_trained(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", json.dumps(STEP) + "\n")
    assert "Not being trained; last step 1h00m ago" in words(status_page(run, now=4600.0))


@pytest.mark.parametrize("ended", [{"progress": 1.0}, {"progress": 0.95, "time_left": 0.0}])
def test_a_run_at_its_end_is_over_however_young_its_last_step_is(tmp_path: Path, ended: dict[str, float]) -> None:
    run = run_with(tmp_path / "run", json.dumps(STEP | ended) + "\n")
    assert "The training is over; last step 1s ago" in words(status_page(run, now=1001.0))


def test_torn_and_strange_lines_at_the_end_are_passed_over(tmp_path: Path) -> None:
    strange = [
        "[]",
        "null",
        '{"incident": "loss not finite", "pairs": 9}',
        json.dumps(STEP | {"pairs": 1e99}),
        '{"pairs":',
    ]
    run = run_with(tmp_path / "run", "\n".join([json.dumps(STEP), *strange]))
    found = last_step(run, now=1000.0)
    assert found is not None
    assert (found.pairs, found.age) == (4, 0.0)


def test_the_last_step_is_found_at_the_end_of_a_long_file(tmp_path: Path) -> None:
    lines = [json.dumps(STEP | {"pairs": pairs}) for pairs in range(5000)]
    found = last_step(run_with(tmp_path / "run", "\n".join(lines)), now=1000.0)
    assert found is not None
    assert found.pairs == 4999


def test_a_run_without_anything_says_so(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "none")
    assert "No step has been taken yet" in status_page(run, now=0.0)
    assert "No curves yet" in charts_page(run)
    assert "No checkpoint of this run was scored" in scores_page(run)
    assert "This run has no report yet" in report_page(run)
    assert run.sample_grids() == {}


def test_the_last_score_of_each_checkpoint_counts_and_the_best_comes_first(tmp_path: Path) -> None:
    tmp_path.joinpath("scores.jsonl").write_text(
        "\n".join(
            json.dumps(SCORE | changes)
            for changes in (
                {"mifid": 99.0},
                {"checkpoint": "epoch-0001.pt", "mifid": 62.0},
                {"mifid": 61.5},
                {"checkpoint": "odd.pt", "mifid_low": "<b>"},
            )
        )
    )
    rows = re.findall(r'<th scope="row">(.*?)</th><td>3</td><td>(.*?)<br>', scores_page(RunFolder(tmp_path)))
    assert rows == [("last.pt", "61.50"), ("epoch-0001.pt", "62.00")]


def test_a_report_is_shown_in_a_frame_that_has_no_rights(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text('<p title="a">x</p><script>alert(1)</script>')
    page = report_page(RunFolder(tmp_path))
    frame = re.fullmatch(
        r'\s*<iframe class="run-report" title="[^"]*" sandbox(?:="allow-scripts")? srcdoc="([^"]*)"></iframe>\s*', page
    )
    assert frame is not None
    assert html.unescape(frame.group(1)) == '<p title="a">x</p><script>alert(1)</script>'
    assert "allow-same-origin" not in page


def test_sample_grids_are_known_by_their_epochs(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for name in ("epoch-0010.png", "epoch-0002.png", "generated.png", "epoch-x.png", "epoch-0003.png.1.partial"):
        (tmp_path / "samples" / name).touch()
    assert [(epoch, path.name) for epoch, path in RunFolder(tmp_path).sample_grids().items()] == [
        (2, "epoch-0002.png"),
        (10, "epoch-0010.png"),
    ]
