"""What a resumed run says of its settings is what it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from monet import checkpoint
from tests.conftest import TINY
from tests.pipelines.conftest import command


def test_a_precision_from_a_recipe_is_announced_written_down_and_used(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, recipe = tmp_path / "run", tmp_path / "own.yaml"
    recipe.write_text("training:\n  precision: bf16\n  learning_rate: 1.0e-3\n  epochs: 7\n")
    assert command("train", "--data", tiny_data, "--run", run, *TINY, "--training.epochs", "2", "--horizon", "9h") == 0
    last = checkpoint.load(run / "checkpoints" / "last.pt")
    assert (last["precision"], last["device"], last["compiled"]) == ("fp32", "cpu", False)
    capsys.readouterr()
    words = ["--resume", "--recipe", recipe, "--training.epochs", "3"]
    assert command("train", "--data", tiny_data, "--run", run, *words) == 0
    said = capsys.readouterr().err
    assert "training.precision changes from fp32 to bf16" in said
    assert "training.learning_rate changes from 0.0002 to 0.001" in said
    assert "training on cpu in bf16" in said
    settings = yaml.safe_load((run / "config.yaml").read_text())["training"]
    assert (settings["precision"], settings["learning_rate"], settings["epochs"]) == ("bf16", 1e-3, 3)
    processes = json.loads((run / "environment.json").read_text())["processes"]
    assert [process["precision"] for process in processes] == ["fp32", "bf16"]
    assert checkpoint.load(run / "checkpoints" / "last.pt")["precision"] == "bf16"
    rates = [json.loads(line)["learning_rate"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert max(rates) == pytest.approx(1e-3 * (1 - 16 / 24) / 0.5)
    assert command("train", "--data", tiny_data, "--run", run, "--resume", "--recipe", recipe) == 0
    assert "training.epochs stays 3, not 7 as in the recipe: --training.epochs changes it" in capsys.readouterr().err
    assert checkpoint.load(run / "checkpoints" / "last.pt")["counters"]["pairs"] == 24
