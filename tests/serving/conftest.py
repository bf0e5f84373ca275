"""A run that was trained, small, in both directions, and its files for other runtimes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import monet
from tests.conftest import TINY_SETTINGS


@pytest.fixture(scope="session")
def painter(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs that paints something else than it is given."""
    run = tmp_path_factory.mktemp("serving") / "painter"
    settings = {
        "training.epochs": 3,
        "training.learning_rate": 0.01,
        "training.save_every": 1,
        "training.lambda_cycle": 1.0,
    }
    monet.train(tiny_data, run=run, settings={**settings, **TINY_SETTINGS})
    return run


@pytest.fixture(scope="session")
def checkpoint(painter: Path) -> Path:
    return painter / "checkpoints" / "last.pt"


@pytest.fixture(scope="session")
def one_way(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that has learned photo to painting alone."""
    run = tmp_path_factory.mktemp("serving") / "one-way"
    settings = {"training.epochs": 1, "training.lambda_cycle": 0.0, "training.lambda_identity": 0.0}
    monet.train(tiny_data, run=run, settings={**settings, **TINY_SETTINGS})
    return run / "checkpoints" / "last.pt"


@pytest.fixture
def own_run(painter: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(painter, tmp_path / "painter"))
