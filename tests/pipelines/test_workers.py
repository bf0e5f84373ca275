"""How many threads share a step belongs to a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from monet import checkpoint
from tests.conftest import TINY
from tests.pipelines.conftest import command
from tests.training.comparison import differences


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_resumed_run_keeps_the_number_of_workers_that_its_probe_chose(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monet.training import workers

    monkeypatch.setattr(workers, "_sharing_is_faster", lambda *_: True)
    assert command("train", "--data", tiny_data, "--run", tmp_path, *TINY, "--training.epochs", "1") == 0
    assert checkpoint.load(tmp_path / "checkpoints" / "last.pt")["workers"] == 2
    monkeypatch.setattr(workers, "_sharing_is_faster", lambda *_: False)
    more = ["--resume", "--training.epochs", "2"]
    assert command("train", "--data", tiny_data, "--run", tmp_path, *TINY, *more) == 0
    assert checkpoint.load(tmp_path / "checkpoints" / "last.pt")["workers"] == 2
    processes = json.loads((tmp_path / "environment.json").read_text())["processes"]
    assert [process["workers"] for process in processes] == [2, 2]
    assert torch.get_num_threads() == 2


def test_two_runs_with_as_many_workers_are_equal_to_the_bit(tiny_data: Path, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        asked = ["--training.workers", "2", "--training.epochs", "2", "--training.ema", "0.9"]
        assert command("train", "--data", tiny_data, "--run", tmp_path / name, *TINY, *asked) == 0
        found.append(checkpoint.load(tmp_path / name / "checkpoints" / "last.pt"))
    assert differences(found[0], found[1], ("seconds", "digest")) == []
