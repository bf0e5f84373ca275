from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from monet.reporting.metrics import read_metrics


def step(pairs: int, **values: Any) -> str:
    known = {"pairs": pairs, "seconds": 2.0 * pairs, "learning_rate": 2e-4, "pairs_per_second": 3.0}
    return json.dumps({**known, "losses": {"cycle_a": pairs % 10, "cycle_b": 1.0}, **values}) + "\n"


def test_metrics_are_read_but_for_torn_lines_and_other_things(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    others = ['{"incident": "loss not finite", "pairs": 4}\n', "7\n", "[" * 9999 + "\n", step(5, losses=1), "{}\n"]
    others += [step(6, seconds="x"), step(7, losses={"cycle_a": None}), "\xff\n"]
    others += [step(8, seconds=10**400), step(9, learning_rate=float("nan")), step(10, losses={"cycle_a": -1e308})]
    path.write_text("".join([step(0), *others, step(1), step(2)[:20]]), encoding="latin-1")
    assert [values["pairs"] for values in read_metrics(path)] == [0, 1]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 1000, 4096, 5001])
def test_however_many_steps_there_are_a_few_points_hold_their_means_and_their_end(tmp_path: Path, count: int) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(step(pairs) for pairs in range(1, count + 1)))
    points = read_metrics(path, most=8)
    assert len(points) <= 8
    assert count < 8 or len(points) >= 4
    assert (points[-1]["pairs"], points[-1]["seconds"]) == (count, 2.0 * count)
    ends = [0, *(point["pairs"] for point in points)]
    for point, first, end in zip(points, ends, ends[1:], strict=False):
        values = [pairs % 10 for pairs in range(first + 1, end + 1)]
        assert point["losses"]["cycle_a"] == pytest.approx(sum(values) / len(values))
        assert point["learning_rate"] == pytest.approx(2e-4)


def test_reading_many_steps_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with open(path, "w") as file:
        file.writelines(step(pairs) for pairs in range(30_000))
    tracemalloc.start()
    points = read_metrics(path, most=100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 50 <= len(points) <= 100
    assert most < 1_000_000


def test_metrics_that_cannot_be_read_give_no_curves_and_a_word(
    tmp_path: Path, pipe: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read_metrics(tmp_path / "nothing") == []
    assert not caplog.records
    assert read_metrics(pipe) == read_metrics(tmp_path) == []
    assert [record.getMessage().split(" cannot be read: ")[1] for record in caplog.records] == [
        "it is a named pipe; give a regular file",
        "it is a folder; give a regular file",
    ]
