"""When the networks are compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monet.clock import Deadline
from monet.data.layout import find_layout
from monet.run.compilation import should_compile
from monet.run.resume import GivenSettings
from monet.run.run import Run
from monet.run_folder.folder import RunFolder
from monet.settings import resolve
from monet.training.state import TrainingState
from tests.conftest import TINY, FakeClock

WIDE = ["--model.width", "64"]


@pytest.mark.parametrize(
    ("settings", "device", "compiled"),
    [
        (["--training.compile", "on"], "cpu", True),
        (["--training.compile", "off", "--budget", "5h", *WIDE], "cpu", False),
        (["--budget", "5h", *WIDE], "cpu", True),
        (["--budget", "19m", *WIDE], "cpu", False),
        (["--budget", "5h"], "cpu", False),
        (WIDE, "cpu", False),
        (["--budget", "5h"], "cuda", True),
        (["--budget", "9m"], "cuda", False),
        ([], "cuda", True),
        (["--budget", "5h", *WIDE], "mps", False),
    ],
)
def test_the_networks_are_compiled_where_it_earns_its_time_back(
    tiny_data: Path, tmp_path: Path, clock: FakeClock, settings: list[str], device: str, compiled: bool
) -> None:
    config = resolve({}, [*TINY, "--training.epochs", "1", *settings])
    budget = config.budget_seconds
    run = Run(
        config=config,
        given=GivenSettings(),
        layout=find_layout(tiny_data),
        folder=RunFolder(tmp_path / "run"),
        resumed_from=None,
        deadline=None if budget is None else Deadline(clock, clock.now, budget),
    )
    state = TrainingState.create(config, torch.device("cpu"), "fp32")
    assert should_compile(run, state, None, torch.device(device)) == compiled
