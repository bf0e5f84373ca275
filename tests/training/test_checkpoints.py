"""When a run is saved, and what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monet import checkpoint
from monet.clock import Horizon, Timekeeper
from monet.distributed import Group
from monet.settings import resolve
from monet.training.checkpoints import Checkpoints, Saving
from monet.training.events import CheckpointEvent, Listeners
from monet.training.execution import Execution
from monet.training.state import TrainingState, run_facts
from tests.conftest import TINY, FakeClock


class Second(Group):
    """The second of two processes."""

    rank, world_size = 1, 2


class Bench:
    """The checkpoints of a tiny run in a folder."""

    def __init__(self, folder: Path, clock: FakeClock, *overrides: str, group: Group | None = None) -> None:
        config = resolve({}, [*TINY, *overrides])
        cpu = torch.device("cpu")
        self.clock, self.execution = (
            clock,
            Execution(config, TrainingState.create(config, cpu, "fp32"), cpu, "fp32", group),
        )
        self.kept: list[CheckpointEvent] = []
        self.unsaved: list[Exception] = []
        self.checkpoints = Checkpoints(
            Saving(folder, run_facts(config, "fp32", 12, 5), interval=5.0),
            self.execution,
            Timekeeper(Horizon(pairs=100), clock=clock),
            clock,
            Listeners(on_checkpoint=self.kept.append, before_save=self.before_save, on_unsaved=self.unsaved.append),
        )

    def before_save(self) -> None:
        self.clock.advance(2.0)

    def count(self, pairs: int) -> None:
        self.execution.state.counters.pairs = pairs


def test_a_save_is_due_when_the_interval_is_over(tmp_path: Path, clock: FakeClock) -> None:
    checkpoints = Bench(tmp_path, clock).checkpoints
    assert not checkpoints.due()
    clock.advance(5.0)
    assert checkpoints.due()
    assert checkpoints.save()
    assert checkpoints.save_seconds == 2.0
    assert not checkpoints.due()


def test_a_checkpoint_holds_counters_progress_time_and_facts(tmp_path: Path, clock: FakeClock) -> None:
    bench = Bench(tmp_path, clock)
    bench.count(25)
    clock.advance(3.0)
    bench.checkpoints.save()
    contents = checkpoint.load(bench.checkpoints.last)
    assert contents["counters"]["pairs"] == 25
    assert contents["counters"]["progress"] == 0.25
    assert contents["counters"]["seconds"] == 3.0
    assert contents["horizon"] == {"pairs": 100, "seconds": None}
    assert contents["data"] == {"photos": 12, "paintings": 5}
    assert contents["compiled"] is False


@pytest.mark.parametrize(("every", "kept"), [(0, []), (1, [1, 2, 3, 4]), (2, [2, 4]), (3, [3])])
def test_epochs_are_kept_as_often_as_is_asked_for(
    tmp_path: Path, clock: FakeClock, every: int, kept: list[int]
) -> None:
    bench = Bench(tmp_path, clock, "--training.save_every", str(every))
    bench.checkpoints.save()
    for epoch in range(5):
        assert bench.checkpoints.keeps(epoch) == (epoch in kept)
        bench.checkpoints.keep(epoch)
    assert [event.path.name for event in bench.kept] == [checkpoint.epoch_name(epoch) for epoch in kept]
    assert all(event.path.exists() for event in bench.kept)


def test_an_epoch_that_is_kept_is_not_kept_again(tmp_path: Path, clock: FakeClock) -> None:
    bench = Bench(tmp_path, clock, "--training.save_every", "1")
    bench.checkpoints.keep(1)
    assert bench.kept == []  # nothing is saved yet
    bench.checkpoints.save()
    for _ in range(2):
        bench.checkpoints.keep(1)
    assert len(bench.kept) == 1


def test_the_second_process_writes_nothing(tmp_path: Path, clock: FakeClock) -> None:
    bench = Bench(tmp_path, clock, "--training.save_every", "1", group=Second())
    bench.count(2)
    assert bench.checkpoints.save()
    bench.checkpoints.keep(1)
    bench.checkpoints.save_before_failing(lambda: None)
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_fails_is_told_to_the_listener_which_may_do_without(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, error = Bench(tmp_path, clock), OSError("no space")

    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(checkpoint, "save", full)
    assert not bench.checkpoints.save()
    assert bench.unsaved == [error]


def test_before_failing_only_new_pairs_after_a_whole_step_are_saved(tmp_path: Path, clock: FakeClock) -> None:
    bench = Bench(tmp_path, clock)
    reports: list[int] = []

    def report() -> None:
        reports.append(1)

    bench.checkpoints.save_before_failing(report)
    bench.count(2)
    bench.execution.updating = True
    bench.checkpoints.save_before_failing(report)
    assert reports == []
    assert not bench.checkpoints.last.exists()
    bench.execution.updating = False
    bench.checkpoints.save_before_failing(report)
    assert reports == [1]
    assert checkpoint.load(bench.checkpoints.last)["counters"]["pairs"] == 2


def test_before_failing_another_error_is_not_raised(tmp_path: Path, clock: FakeClock) -> None:
    bench = Bench(tmp_path, clock)
    bench.count(2)

    def gone() -> None:
        raise RuntimeError("the device is gone")

    bench.checkpoints.save_before_failing(gone)
    assert not bench.checkpoints.last.exists()
