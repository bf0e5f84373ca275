from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monet.errors import InputError
from monet.files import add_line
from monet.run_folder.scores import read_scores

SCORE: dict[str, Any] = {
    "checkpoint": "last.pt",
    "generator": "0123",
    "weights_used": "ema",
    "basis": {"epsilon": 0.1},
    "mifid": 40.5,
}


def lines(*changes: dict[str, Any]) -> str:
    return "".join(json.dumps({**SCORE, **change}) + "\n" for change in changes)


def test_scores_that_cannot_be_right_are_left_out_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "scores.jsonl"
    numbers: tuple[Any, ...] = (None, "40", float("nan"), float("inf"), -1, [40.5])
    wrong: list[dict[str, Any]] = [{"mifid": value} for value in numbers]
    wrong += [{"generator": ["0123"]}, {"weights_used": {}}, {"basis": "all"}, {"checkpoint": None}]
    broken = "[" * 9999 + "\n7\n{}\nnull\n" + lines({})[:-20] + "\n\xff\n" + "9" * 9999 + "\n"
    path.write_text(lines({}) + lines(*wrong) + broken + lines({"mifid": 30}), encoding="latin-1")
    assert [score["mifid"] for score in read_scores(path)] == [40.5, 30]
    assert "scores.jsonl has 17 damaged lines of 19: left out" in caplog.text


def test_scores_that_cannot_be_read_are_one_line(tmp_path: Path, pipe: Path) -> None:
    assert read_scores(tmp_path / "nothing.jsonl") == []
    with pytest.raises(InputError, match="it is a named pipe"):
        read_scores(pipe)
    with pytest.raises(InputError, match="it is a folder"):
        read_scores(tmp_path)


def test_a_score_never_joins_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(lines({}) + "{")
    add_line(path, lines({"mifid": 30}).strip())
    assert [score["mifid"] for score in read_scores(path)] == [40.5, 30]
