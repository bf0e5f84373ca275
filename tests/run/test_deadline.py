"""The whole way with real networks, files and archives, on a clock that moves with the work that they do."""

from __future__ import annotations

import contextlib
import signal
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from torch import Tensor

from monet import checkpoint
from monet.clock import Clock, Deadline
from monet.data.layout import Layout, find_layout
from monet.data.store import ImageStore, load_images
from monet.errors import InputError, Interrupted
from monet.generation.painter import Painter
from monet.interrupts import Interrupts
from monet.models import ResnetGenerator
from monet.run import data
from monet.run.resume import GivenSettings
from monet.run.run import Run
from monet.run.submission_scoring import SubmissionScoring
from monet.run.submit import Submission, submit_run
from monet.run_folder.folder import RunFolder
from monet.scoring.scorer import Scorer
from monet.settings import resolve
from monet.training.trainer import Trainer
from tests.conftest import TINY, FakeClock, context_of

PHOTOS = 60
SECONDS_A_PHOTO = 1.0
PAINTING = PHOTOS * SECONDS_A_PHOTO

SLOW = pytest.mark.slow
"""Cases like another one; they take a quarter of a minute each."""


class Machine:
    """Every image that passes a generator takes time, more of it from some moment on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tiny_data: Path, folder: Path) -> None:
        self.clock = FakeClock()
        self.start = self.clock.now
        self.slow: Callable[[], bool] = lambda: False
        self.factor = 1.0
        self.folder = RunFolder(folder / "run")
        layout = find_layout(tiny_data)
        self.layout = Layout(
            "cyclegan", layout.photos, layout.paintings, layout.to_paint * (PHOTOS // 6), layout.paintings
        )
        forward = ResnetGenerator.forward

        def timed(network: ResnetGenerator, x: Tensor) -> Tensor:
            self.clock.advance(len(x) * SECONDS_A_PHOTO * (self.factor if self.slow() else 1.0))
            return forward(network, x)

        monkeypatch.setattr(ResnetGenerator, "forward", timed)

    @property
    def elapsed(self) -> float:
        return self.clock.now - self.start

    def submit(
        self,
        budget: str,
        *overrides: str,
        explicit: Collection[str] = ("budget",),
        interrupts: Interrupts | None = None,
        scoring: SubmissionScoring | None = None,
    ) -> Submission:
        config = resolve({}, [*TINY, "--generation.batch_size", "2", "--budget", budget, *overrides])
        assert config.budget_seconds
        run = Run(
            config=config,
            given=GivenSettings(explicit=frozenset(explicit)),
            layout=self.layout,
            folder=self.folder,
            resumed_from=self.folder.open(resume=True),
            deadline=Deadline(self.clock, self.start, config.budget_seconds),
        )
        context = context_of(self.folder.path, self.clock, interrupts=interrupts)
        submission = submit_run(run, context, self.folder.archive, scoring=scoring)
        assert submission
        return submission

    @property
    def painting(self) -> bool:
        return self.folder.archive.with_name("images.zip.partial").exists()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tiny_data: Path, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tiny_data, tmp_path)


def checked(machine: Machine, submission: Submission, budget: float) -> None:
    assert machine.elapsed <= budget
    assert submission.late == 0
    assert submission.outcome.decay_finished
    assert submission.num_images == PHOTOS
    assert submission.validation
    assert submission.validation.valid


@pytest.mark.parametrize("budget", [300, 1500])
def test_a_steady_machine_uses_its_budget(machine: Machine, budget: int) -> None:
    checked(machine, machine.submit(f"{budget}s"), budget)
    unused = budget - machine.elapsed
    assert unused <= max(0.05 * budget, 0.5 * PAINTING + 20) + 6 * SECONDS_A_PHOTO * 2


@pytest.mark.parametrize(
    ("budget", "share"),
    [(600, 0.5), (1500, 0.8), *(pytest.param(*case, marks=SLOW) for case in ((600, 0.1), (600, 0.7), (1500, 0.5)))],
)
def test_a_machine_that_halves_its_speed_while_it_trains_is_in_time_with_its_decay_finished(
    machine: Machine, budget: int, share: float
) -> None:
    machine.slow, machine.factor = lambda: machine.elapsed > share * budget, 2.0
    submission = machine.submit(f"{budget}s")
    if (budget, share) == (600, 0.7):  # three steps, a sample grid and a probe are all that is left at half speed
        assert submission.late == 0
        assert machine.elapsed <= budget
        return
    checked(machine, submission, budget)


@pytest.mark.parametrize("painted", [pytest.param(0.0, marks=SLOW), 0.6])
def test_a_machine_that_halves_its_speed_while_it_paints_is_in_time(machine: Machine, painted: float) -> None:
    budget = 1500
    begun: list[float] = []

    def slow() -> bool:
        if machine.painting and not begun:
            begun.append(machine.elapsed)
        return bool(begun) and machine.elapsed > begun[0] + painted * PAINTING

    machine.slow, machine.factor = slow, 2.0
    checked(machine, machine.submit(f"{budget}s"), budget)
    assert begun


def test_a_machine_that_falls_further_finishes_the_archive_and_says_how_late_it_is(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.slow, machine.factor = lambda: machine.painting, 6.0
    submission = machine.submit("600s")
    assert submission.late == pytest.approx(machine.elapsed - 600)
    assert submission.late > 60
    assert submission.num_images == PHOTOS
    assert "late by " in caplog.text


class SlowScoring(SubmissionScoring):
    """Finds nothing, and takes its time over it."""

    SECONDS = 90.0

    def __init__(self, machine: Machine) -> None:
        super().__init__(cast(Scorer, object()))
        self._machine = machine

    def prepare(self, *_: object) -> None:
        """Nothing to read."""

    def measure(self, images: int, clock: Clock) -> float:
        return self.SECONDS * (self._machine.factor if self._machine.slow() else 1.0)

    def score(self, archive: Path, deadline: Deadline | None) -> None:
        self._machine.clock.advance(self.measure(PHOTOS, self._machine.clock))


@pytest.mark.parametrize("share", [None, pytest.param(0.5, marks=SLOW)])
def test_the_time_that_scoring_takes_is_kept_free(machine: Machine, share: float | None) -> None:
    budget = 1500
    machine.slow, machine.factor = lambda: share is not None and machine.elapsed > share * budget, 2.0
    checked(machine, machine.submit(f"{budget}s", scoring=SlowScoring(machine)), budget)
    assert budget - machine.elapsed <= max(0.05 * budget, 0.5 * (PAINTING + SlowScoring.SECONDS) + 20) + 24


def test_a_budget_that_cannot_hold_the_painting_is_refused_with_the_time_it_takes(machine: Machine) -> None:
    with pytest.raises(InputError, match="of 90s leaves no time to train: .* painting 60 photos takes about 1m "):
        machine.submit("90s")
    assert machine.elapsed < 15
    assert not machine.folder.path.exists()


def test_a_budget_of_which_reading_leaves_nothing_is_refused_before_training(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*arguments: Any, **options: Any) -> ImageStore:
        machine.clock.advance(70)
        return load_images(*arguments, **options)

    monkeypatch.setattr(data, "load_images", slowly)
    with pytest.raises(InputError, match=r"leaves no time to train: 3m\d+s are gone, and painting 60 photos takes"):
        machine.submit("300s")
    assert not machine.folder.path.exists()


def test_a_signal_after_the_last_step_ends_the_command_before_it_paints(machine: Machine) -> None:
    class Late(Interrupts):
        @contextlib.contextmanager
        def deferred(self) -> Iterator[Callable[[], bool]]:
            yield lambda: False
            self.received = signal.SIGTERM

    with pytest.raises(Interrupted, match=r"last.pt is saved: add --resume to the command to resume") as stopped:
        machine.submit("1500s", "--training.epochs", "1", interrupts=Late())
    assert stopped.value.exit_code == 143
    assert not machine.folder.archive.exists()
    assert machine.submit("1500s").num_images == PHOTOS


def test_a_signal_while_it_paints_says_what_is_saved(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(Painter, "paint_archive", interrupted)
    with pytest.raises(Interrupted, match=r"stopped while painting; .*last.pt: add --resume to the command to paint"):
        machine.submit("1500s", "--training.epochs", "1")


def test_more_epochs_give_a_finished_run_another_horizon(machine: Machine) -> None:
    first = machine.submit("300s")
    machine.start = machine.clock.now
    explicit = {"budget", "training.epochs"}
    second = machine.submit("1500s", "--training.epochs", "1000", explicit=explicit)
    assert second.outcome.pairs > first.outcome.pairs
    assert second.outcome.decay_finished
    checked(machine, second, 1500)
    machine.start = machine.clock.now
    third = machine.submit("1500s", "--training.epochs", "1000", explicit=explicit)  # the same again: it is over
    assert third.outcome.pairs == second.outcome.pairs


def test_a_run_whose_horizon_is_taken_away_is_refused(machine: Machine) -> None:
    machine.submit("1500s", "--horizon", "60s")
    machine.start = machine.clock.now
    with pytest.raises(InputError, match="nothing says when to end"):
        machine.submit("1500s", "--horizon", "null", explicit={"horizon"})


def test_epochs_end_a_run_before_its_deadline(machine: Machine) -> None:
    submission = machine.submit("1500s", "--training.epochs", "2")
    assert submission.outcome.pairs == 16
    assert submission.outcome.decay_finished
    assert machine.elapsed < 500


def test_a_deadline_before_the_horizon_leaves_the_decay_unfinished_and_paints_all_the_same(machine: Machine) -> None:
    submission = machine.submit("300s", "--horizon", "2h")
    assert not submission.outcome.decay_finished
    assert submission.num_images == PHOTOS
    assert machine.elapsed <= 300


def test_a_machine_that_leaves_no_time_for_the_decay_says_so_and_a_later_process_finishes_it(machine: Machine) -> None:
    machine.slow, machine.factor = lambda: machine.elapsed > 130, 2.0
    first = machine.submit("300s")
    assert not first.outcome.decay_finished
    assert "(decay unfinished: --resume continues it)" in first.summary[0]
    contents = checkpoint.load(machine.folder.last)
    assert contents["counters"]["progress"] < 0.98
    assert contents["horizon"]["seconds"] > contents["counters"]["seconds"] + 5
    machine.slow, machine.start = lambda: False, machine.clock.now
    second = machine.submit("480s")
    assert second.outcome.pairs > first.outcome.pairs
    assert second.outcome.decay_finished
    assert "(learning rate decayed to 0)" in second.summary[0]


@pytest.mark.parametrize("end", [pytest.param("a signal", marks=SLOW), "a kill"])
def test_a_run_that_ends_in_a_slow_minute_goes_on_where_it_was(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    budget, ends = 1200, 500

    class Told(Interrupts):
        @contextlib.contextmanager
        def deferred(self) -> Iterator[Callable[[], bool]]:
            yield lambda: machine.elapsed > ends
            self.received = signal.SIGTERM

    def killed(self: Trainer) -> bool:
        if machine.elapsed > ends:
            raise MemoryError
        return save(self)

    save = Trainer.save
    machine.slow, machine.factor = lambda: machine.elapsed > 400, 8.0
    if end == "a kill":
        monkeypatch.setattr(Trainer, "save", killed)
    with pytest.raises(Interrupted if end == "a signal" else MemoryError):
        machine.submit(f"{budget}s", interrupts=Told() if end == "a signal" else None)
    monkeypatch.setattr(Trainer, "save", save)
    stored = checkpoint.load(machine.folder.last)
    progress = stored["counters"]["progress"]
    assert 0.1 < progress < 0.7
    assert stored["horizon"]["seconds"] == pytest.approx(1200 - 1.5 * PAINTING - 40, rel=0.1)
    machine.slow, machine.start = lambda: False, machine.clock.now
    submission = machine.submit(f"{budget}s")
    assert submission.outcome.decay_finished
    assert submission.outcome.pairs > stored["counters"]["pairs"] + 40
    assert submission.outcome.seconds == pytest.approx(stored["horizon"]["seconds"], rel=0.03)


def test_a_run_over_several_processes_ends_where_its_horizon_does(machine: Machine) -> None:
    seconds = []
    for _ in range(6):
        machine.start = machine.clock.now
        submission = machine.submit("300s", "--horizon", "8m")
        seconds.append(submission.outcome.seconds)
        if submission.outcome.decay_finished:
            break
    assert len(seconds) in (3, 4, 5)
    assert seconds == sorted(seconds)
    assert 480 <= seconds[-1] < 505  # a step takes 10 to 12 s, and a sample grid as long


def test_a_run_that_is_over_paints_again_without_training(machine: Machine) -> None:
    first = machine.submit("600s")
    before = zipfile.ZipFile(first.path).read("0.jpg")
    machine.start = machine.clock.now
    second = machine.submit("600s")
    assert second.outcome.pairs == first.outcome.pairs
    assert zipfile.ZipFile(second.path).read("0.jpg") == before
