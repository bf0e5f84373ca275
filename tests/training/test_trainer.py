"""The loop: schedule, bad losses, checkpoints, exact continuation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from monet import checkpoint
from monet.clock import Decision, Horizon, State, Timekeeper
from monet.config import Config
from monet.data.batches import PairSource
from monet.data.layout import find_layout
from monet.data.store import load_images
from monet.device import Precision
from monet.errors import InputError
from monet.settings import resolve
from monet.training.checkpoints import Saving
from monet.training.events import EpochEvent, Incident, Listeners, StepEvent
from monet.training.execution import Execution
from monet.training.rollback import NotFiniteTooOften
from monet.training.state import TrainingState, run_facts
from monet.training.trainer import Outcome, Trainer
from tests.conftest import TINY, FakeClock
from tests.training.comparison import differences, flat

CPU = torch.device("cpu")
SECONDS_A_PASS = 0.5


class Bench:
    """Runs trainers on one folder, as processes would, and keeps what they report."""

    def __init__(self, data: Path, folder: Path, *overrides: str, precision: Precision = "fp32") -> None:
        self.config: Config = resolve({}, [*TINY, *overrides])
        self.folder, self.precision = folder, precision
        layout = find_layout(data)
        self.stores = load_images(layout.photos, self.config.data), load_images(layout.paintings, self.config.data)
        self.clock = FakeClock()
        self.steps: list[StepEvent] = []
        self.epochs: list[EpochEvent] = []
        self.incidents: list[Incident] = []
        self.seen: list[Tensor] = []
        """Photos and paintings of every batch, (B, 6, H, W)."""
        self.spoiled: set[int] = set()
        self.trainer: Trainer
        self.timekeeper: Timekeeper
        self.clock_hook: RemovableHandle

    def start(
        self, horizon: Horizon, stop_requested: Callable[[], bool] = lambda: False, every: float = 1e9
    ) -> Trainer:
        state = TrainingState.create(self.config, CPU, self.precision)
        path = self.folder / checkpoint.LAST
        if path.exists():
            contents = checkpoint.load(path)
            state.load_state_dict(contents, CPU)
            self.steps = [event for event in self.steps if event.pairs <= state.counters.pairs]
        self.clock_hook = state.networks.generator_ab.register_forward_hook(
            lambda *_: self.clock.advance(SECONDS_A_PASS)
        )
        source = PairSource(*self.stores, self.config.data, seed=self.config.training.seed, device=CPU)
        batch = source.batch

        def spoilt(pairs: range) -> tuple[Tensor, Tensor]:
            a, b = batch(pairs)
            self.seen.append(torch.cat([a, b], 1))
            return (a * math.nan if self.spoiled & set(pairs) else a), b

        source.batch = spoilt  # type: ignore[method-assign,assignment]
        counters = state.counters
        self.timekeeper = Timekeeper(horizon, clock=self.clock, seconds=counters.seconds, progress=counters.progress)
        self.trainer = Trainer(
            Execution(self.config, state, CPU, self.precision),
            source,
            self.timekeeper,
            Saving(self.folder, run_facts(self.config, self.precision, 12, 5), every),
            clock=self.clock,
            listeners=Listeners(self.steps.append, self.epochs.append, on_incident=self.incidents.append),
            stop_requested=stop_requested,
        )
        return self.trainer

    def run(self, horizon: Horizon, **options: Any) -> Outcome:
        return self.start(horizon, **options).run()


def after(count: int) -> Callable[[], bool]:
    """True from the count-th question on."""
    asked = [0]

    def told() -> bool:
        asked[0] += 1
        return asked[0] > count

    return told


WAVELETS = ("--model.generator", "wavelet", "--model.discriminator", "wavelet")
EVERYTHING = ("--training.ema", "0.9", "--training.save_every", "1")


@pytest.mark.parametrize("stops", [[3, 2], [1, 1, 1, 4], *(pytest.param([s], marks=pytest.mark.slow) for s in (1, 7))])
@pytest.mark.parametrize(
    ("horizon", "overrides"),
    [
        (Horizon(pairs=30), EVERYTHING),
        (Horizon(seconds=24.0), EVERYTHING),
        (Horizon(pairs=30, seconds=20.0), EVERYTHING),
        (Horizon(pairs=30), (*EVERYTHING, "--model.norm", "batch", "--data.sampling", "fixed")),
        (Horizon(pairs=30), (*EVERYTHING, "--model.generator", "unet", "--training.precision", "bf16")),
        (Horizon(pairs=30), (*EVERYTHING, *WAVELETS, "--training.lambda_cycle", "0")),
    ],
    ids=["pairs", "clock", "both", "batch norm", "unet in bf16", "one way in wavelets"],
)
def test_a_run_in_pieces_equals_a_run_in_one_piece_bit_for_bit(
    tiny_data: Path, tmp_path: Path, stops: list[int], horizon: Horizon, overrides: tuple[str, ...]
) -> None:
    precision: Precision = "bf16" if "bf16" in overrides else "fp32"
    whole = Bench(tiny_data, tmp_path / "whole", *overrides, precision=precision)
    assert whole.run(horizon).decay_finished
    pieces = Bench(tiny_data, tmp_path / "pieces", *overrides, precision=precision)
    for stop in stops:
        assert pieces.run(horizon, stop_requested=after(stop)).interrupted
    assert pieces.run(horizon).decay_finished
    one, two = (checkpoint.load(bench.folder / checkpoint.LAST) for bench in (whole, pieces))
    assert differences(one, two) == []
    assert [(e.pairs, e.progress, e.learning_rate, e.losses) for e in whole.steps] == [
        (e.pairs, e.progress, e.learning_rate, e.losses) for e in pieces.steps
    ]
    for path in whole.folder.glob("epoch-*.pt"):
        assert differences(checkpoint.load(path), checkpoint.load(pieces.folder / path.name)) == []


def test_the_horizon_is_counted_in_pairs_whatever_the_batch_size(tiny_data: Path, tmp_path: Path) -> None:
    for size in (1, 2, 5):
        bench = Bench(tiny_data, tmp_path / str(size), "--training.batch_size", str(size))
        outcome = bench.run(Horizon(pairs=21))
        assert outcome.pairs == -(-21 // size) * size
        for event in bench.steps:
            progress = (event.pairs - size) / 21
            assert event.progress == pytest.approx(progress)
            assert event.learning_rate == pytest.approx(2e-4 * min(1, 2 * (1 - progress)))


def test_a_larger_batch_sees_the_same_images_in_the_same_order(tiny_data: Path, tmp_path: Path) -> None:
    seen: dict[int, Tensor] = {}
    for size in (1, 3):
        bench = Bench(tiny_data, tmp_path / str(size), "--training.batch_size", str(size))
        bench.run(Horizon(pairs=12))
        seen[size] = torch.cat(bench.seen)
    assert torch.allclose(seen[1], seen[3], atol=1e-6)


def test_epochs_are_told_at_the_first_step_at_or_past_their_boundary(tiny_data: Path, tmp_path: Path) -> None:
    bench = Bench(tiny_data, tmp_path, "--training.batch_size", "3", "--training.save_every", "2")
    bench.run(Horizon(pairs=36))  # epochs of 8 pairs
    assert [(event.epoch, event.pairs) for event in bench.epochs] == [(1, 9), (2, 18), (3, 24), (4, 33)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0002.pt", "epoch-0004.pt", "last.pt"]


def test_last_is_saved_whenever_the_interval_is_over(tiny_data: Path, tmp_path: Path) -> None:
    bench = Bench(tiny_data, tmp_path, "--training.save_every", "0")
    trainer = bench.start(Horizon(pairs=20), every=5.0)
    saved: list[float] = []
    save = trainer.save
    trainer.save = lambda: saved.append(bench.clock.now) or save()  # type: ignore[method-assign,func-returns-value]
    trainer.run()
    gaps = [later - earlier for earlier, later in itertools.pairwise(saved)]
    assert all(5.0 <= gap <= 5.0 + 4 * SECONDS_A_PASS for gap in gaps[:-1])
    assert len(saved) == 3


@pytest.mark.parametrize("late", [1, 2, 5])
def test_a_loss_that_is_not_finite_is_not_stepped_on_however_late_it_is_noticed(
    tiny_data: Path, tmp_path: Path, late: int
) -> None:
    extra = ("--training.ema", "0.9", "--model.norm", "batch")

    good = Bench(tiny_data, tmp_path / "good", *extra).start(Horizon(pairs=1000))
    for _ in range(3):
        good.take_step(0.0)
    good.report()
    before = good.state.state_dict()
    # Pairs 6 and 7 are bad: what is left is the state after three good steps.
    bench = Bench(tiny_data, tmp_path / "spoiled", *extra)
    bench.spoiled = {7}
    trainer = bench.start(Horizon(pairs=1000))
    for _ in range(3 + late):
        trainer.take_step(0.0)
    trainer.report()
    counters = trainer.state.counters
    assert (counters.pairs, counters.skipped, counters.step, counters.fp32_until) == (8, 2, 3, 16)
    assert [event.pairs for event in bench.steps] == [2, 4, 6]
    kept = trainer.state.state_dict()
    assert len(kept.pop("incidents")) == 1
    assert bench.incidents == trainer.state.incidents
    assert before.pop("incidents") == []
    assert differences(before, kept, ("counters", "lr")) == []
    trainer.take_step(0.0)
    trainer.report()
    assert counters.pairs == 10
    assert math.isfinite(bench.steps[-1].losses["generator"])


def test_after_a_bad_loss_the_next_epoch_is_trained_in_fp32(tiny_data: Path, tmp_path: Path) -> None:
    bench = Bench(tiny_data, tmp_path, precision="bf16")
    bench.spoiled = {4}
    types: list[torch.dtype] = []
    trainer = bench.start(Horizon(pairs=20))
    trainer.state.networks.discriminator_a.register_forward_hook(lambda *args: types.append(args[2].dtype))
    trainer.run()
    half = [dtype == torch.bfloat16 for dtype in types[::2]]  # a discriminator judges twice a step
    assert half == [True] * 3 + [False] * 4 + [True] * 3
    assert checkpoint.load(tmp_path / checkpoint.LAST)["incidents"] == [{"pairs": 6, "skipped": 2, "fp32_until": 14}]


def test_a_run_gives_up_at_the_third_bad_loss_and_keeps_its_last_good_state(tiny_data: Path, tmp_path: Path) -> None:
    bench = Bench(tiny_data, tmp_path)
    bench.spoiled = {4, 9, 14}
    with pytest.raises(NotFiniteTooOften, match=r"3 times, last at pair 14: .*last.pt"):
        bench.run(Horizon(pairs=100))
    contents = checkpoint.load(tmp_path / checkpoint.LAST)
    assert contents["counters"]["skipped"] == 6
    tensors = [value for value in flat(contents).values() if isinstance(value, Tensor)]
    assert all(torch.isfinite(tensor).all() for tensor in tensors)


def test_a_run_that_met_a_bad_loss_continues_exactly(tiny_data: Path, tmp_path: Path) -> None:
    runs = []
    for name, stops in (("whole", []), ("pieces", [3, 2])):
        bench = Bench(tiny_data, tmp_path / name, "--training.ema", "0.9")
        bench.spoiled = {5, 12}
        for stop in stops:
            bench.run(Horizon(pairs=30), stop_requested=after(stop))
        bench.run(Horizon(pairs=30))
        runs.append(checkpoint.load(bench.folder / checkpoint.LAST))
    assert differences(runs[0], runs[1], ("seconds",)) == []


def test_fp16_overflow_is_the_gradient_scalers_business(tiny_data: Path, tmp_path: Path) -> None:
    bench = Bench(tiny_data, tmp_path, precision="fp16")
    trainer = bench.start(Horizon(pairs=20))
    trainer.state.scaler.load_state_dict({**trainer.state.scaler.state_dict(), "scale": 2.0**40})
    before = trainer.state.networks.generator_ab.state_dict()["layers.1.weight"].clone()
    trainer.take_step(0.0)
    trainer.report()
    assert trainer.state.incidents == []
    assert torch.equal(trainer.state.networks.generator_ab.state_dict()["layers.1.weight"], before)
    assert trainer.state.scaler.get_scale() == 2.0**39
    trainer.state.scaler.load_state_dict({**trainer.state.scaler.state_dict(), "scale": 2.0**8})
    trainer.run()
    assert not torch.equal(trainer.state.networks.generator_ab.state_dict()["layers.1.weight"], before)


def test_a_checkpoint_of_other_networks_is_refused(tiny_data: Path, tmp_path: Path) -> None:
    Bench(tiny_data, tmp_path).run(Horizon(pairs=2))
    with pytest.raises(InputError, match="does not fit the settings"):
        Bench(tiny_data, tmp_path, "--model.width", "5").run(Horizon(pairs=4))


def test_averaged_generators_paint_where_the_run_has_them(tiny_data: Path, tmp_path: Path) -> None:
    trainer = Bench(tiny_data, tmp_path, "--training.ema", "0.9").start(Horizon(pairs=2))
    state = trainer.state
    assert state.ema is not None
    assert state.painting_networks().generator_ab is state.ema.networks["generator_ab"]
    plain = Bench(tiny_data, tmp_path / "plain").start(Horizon(pairs=2)).state
    assert plain.painting_networks().generator_ab is plain.networks.generator_ab


def test_learning_goes_in_the_right_direction(tiny_data: Path, tmp_path: Path) -> None:
    bench = Bench(tiny_data, tmp_path, "--training.learning_rate", "2e-3")
    bench.run(Horizon(pairs=240))
    cycles = [event.losses["cycle_a"] + event.losses["cycle_b"] for event in bench.steps]
    assert sum(cycles[-20:]) < 0.8 * sum(cycles[:20])


def test_a_checkpoint_whose_copy_was_cut_short_by_a_kill_is_kept_when_the_run_is_resumed(
    tiny_data: Path, tmp_path: Path
) -> None:
    bench = Bench(tiny_data, tmp_path, "--training.save_every", "1")
    bench.run(Horizon(pairs=8))
    copy = tmp_path / checkpoint.epoch_name(1)
    expected = copy.read_bytes()
    copy.unlink()
    bench.run(Horizon(pairs=16))
    assert copy.read_bytes() == expected


def test_a_resumed_run_uses_the_betas_that_it_is_given(tiny_data: Path, tmp_path: Path) -> None:
    Bench(tiny_data, tmp_path).run(Horizon(pairs=4))
    other = Bench(tiny_data, tmp_path, "--training.betas", "[0.9, 0.99]").start(Horizon(pairs=8))
    for optimizer in other.state.optimizers.values():
        assert [group["betas"] for group in optimizer.param_groups] == [(0.9, 0.99)]
        assert optimizer.state_dict()["state"][0]["step"] == 2


def test_a_last_step_that_has_no_time_for_a_sample_grid_after_it_is_taken_without(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tiny_data, tmp_path)

    class Slow(list[EpochEvent]):
        def append(self, event: EpochEvent) -> None:
            super().append(event)
            bench.clock.advance(5.0)

    bench.epochs = Slow()
    trainer = bench.start(Horizon(pairs=20))  # an epoch has 8
    keeper = bench.timekeeper

    def without_time_for_a_pause(pairs: int, pause: float = 0.0) -> Decision:
        time_for_a_step = State.FINISHING if pause > 0 else State.TRAINING
        return Decision(State.STOP if keeper.at_horizon(pairs) else time_for_a_step, keeper.progress(pairs))

    monkeypatch.setattr(keeper, "poll", without_time_for_a_pause)
    assert trainer.run().pairs == 20
    assert [event.epoch for event in bench.epochs] == [1]
