"""Training in stages, and by hand: what each step's learning rate was, and what a resumed run keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from monet import checkpoint
from tests.conftest import TINY
from tests.pipelines.conftest import command

STAGES = "[[2,2e-4],[1,1e-4],[2,5e-5]]"
BY_HAND = ((2, "2e-4"), (3, "1e-4"), (5, "5e-5"))


def rates(run: Path) -> list[float]:
    return [json.loads(line)["learning_rate"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def last(run: Path) -> dict[str, torch.Tensor]:
    """All tensors of a run's last checkpoint, by their places in it."""
    found: dict[str, torch.Tensor] = {}

    def look(value: object, place: str) -> None:
        if isinstance(value, torch.Tensor):
            found[place] = value
        elif isinstance(value, dict):
            for name, inner in value.items():
                look(inner, f"{place}/{name}")

    look(checkpoint.load(run / "checkpoints" / "last.pt"), "")
    return found


def test_stages_equal_a_run_that_is_resumed_by_hand_with_each_of_them(tiny_data: Path, tmp_path: Path) -> None:
    words = ("--data", tiny_data, *TINY, "--training.workers", "1")
    assert command("train", "--run", tmp_path / "stages", *words, "--training.stages", STAGES) == 0
    for epochs, rate in BY_HAND:
        given = ("--training.epochs", epochs, "--training.learning_rate", rate, "--training.decay_start", "1")
        assert command("train", "--run", tmp_path / "by hand", *words, *given, "--resume") == 0
    expected = [2e-4] * 8 + [1e-4] * 4 + [5e-5] * 8  # four steps an epoch
    assert rates(tmp_path / "stages") == rates(tmp_path / "by hand") == expected
    one, other = last(tmp_path / "stages"), last(tmp_path / "by hand")
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_stage_may_be_added_to_a_run_and_the_old_ones_stay_behind(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, words = tmp_path / "run", ("--data", tiny_data, *TINY)
    assert command("train", "--run", run, *words, "--training.stages", "[[1,2e-4],[1,1e-4]]") == 0
    assert "(to its planned end)" in capsys.readouterr().out
    more = ("--training.stages", "[[1,2e-4],[1,1e-4],[2,3e-5]]")
    assert command("train", "--run", run, "--data", tiny_data, "--resume", *more) == 0
    assert rates(run) == [2e-4] * 4 + [1e-4] * 4 + [3e-5] * 8
    stored = checkpoint.load(run / "checkpoints" / "last.pt")
    assert stored["config"]["training"]["stages"] == [[1, 2e-4], [1, 1e-4], [2, 3e-5]]
    assert stored["horizon"]["pairs"] == 32
    capsys.readouterr()
    for given, message in (
        (("--training.learning_rate", "1e-3"), "training.stages has learning rates, and training.learning_rate is"),
        (("--training.epochs", "9"), "training.stages has 4 epochs, and training.epochs is 9: give one of them"),
    ):
        assert command("train", "--run", run, "--data", tiny_data, "--resume", *given) == 2
        assert message in capsys.readouterr().err


def test_a_budget_lays_the_stages_into_the_time(tiny_data: Path, tmp_path: Path) -> None:
    words = ("--data", tiny_data, *TINY, "--training.stages", "[[100000,2e-4],[100000,1e-4]]")
    assert command("train", "--run", tmp_path / "run", *words, "--budget", "25s") == 0
    seen = rates(tmp_path / "run")
    assert set(seen) == {2e-4, 1e-4}
    assert 0.3 < seen.index(1e-4) / len(seen) < 0.7
