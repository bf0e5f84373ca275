"""What ends a training by force, and what is saved then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from monet import checkpoint
from monet.clock import Horizon
from monet.errors import LostProcess, MonetError
from monet.training.memory import OutOfMemory
from monet.training.trainer import Trainer
from tests.training.comparison import differences
from tests.training.test_trainer import Bench

EXTRA = ("--training.ema", "0.9", "--training.save_every", "0")
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def fail(trainer: Trainer, network: str, error: Exception, step: int = 3) -> None:
    """Has a network raise an error from a step on."""

    def forward_hook(_: nn.Module, __: Any) -> None:
        if trainer.state.counters.step >= step:
            raise error

    trainer.state.networks.named()[network].register_forward_pre_hook(forward_hook)


@pytest.mark.parametrize(
    ("network", "extra"),
    [("generator_ba", ()), ("discriminator_b", ()), ("discriminator_b", ("--model.norm", "batch"))],
    ids=["at once", "with fakes in the pool", "with running statistics"],
)
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OUT_OF_MEMORY, OutOfMemory),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), RuntimeError),
        (LostProcess("lost another process of this run"), LostProcess),
    ],
    ids=["memory", "device", "process"],
)
def test_an_error_that_ends_training_leaves_all_whole_steps_saved_and_no_half_of_one(
    tiny_data: Path, tmp_path: Path, network: str, extra: tuple[str, ...], error: Exception, raised: type[Exception]
) -> None:
    whole, broken = (Bench(tiny_data, tmp_path / name, *EXTRA, *extra) for name in ("whole", "broken"))
    whole.run(Horizon(pairs=14))
    trainer = broken.start(Horizon(pairs=14))
    fail(trainer, network, error)
    with pytest.raises(raised):
        trainer.run()
    assert checkpoint.load(broken.folder / checkpoint.LAST)["counters"]["pairs"] == 6
    broken.run(Horizon(pairs=14))
    one, two = (checkpoint.load(bench.folder / checkpoint.LAST) for bench in (whole, broken))
    assert differences(one, two, ("seconds",)) == []


def test_half_a_step_is_not_saved(tiny_data: Path, tmp_path: Path) -> None:
    trainer = Bench(tiny_data, tmp_path, *EXTRA).start(Horizon(pairs=14))

    def no_room(*_: object) -> None:
        if trainer.state.counters.step == 6:
            raise OUT_OF_MEMORY

    trainer.state.optimizers["discriminators"].register_step_pre_hook(no_room)  # the generators have stepped
    with pytest.raises(OutOfMemory, match="2 pairs"):
        trainer.run()
    assert not (tmp_path / checkpoint.LAST).exists()


def test_a_device_that_is_gone_is_what_the_error_says(
    tiny_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Bench(tiny_data, tmp_path, *EXTRA).start(Horizon(pairs=14))
    fail(trainer, "discriminator_b", RuntimeError("CUDA error: unspecified launch failure"))

    def gone(*_: object) -> None:
        raise RuntimeError("CUDA error: the device is gone")

    monkeypatch.setattr(trainer.execution, "abandon_step", gone)
    monkeypatch.setattr(trainer.state, "state_dict", gone)
    with pytest.raises(RuntimeError, match="unspecified launch failure"):
        trainer.run()
    assert "what was trained since the last save is lost: CUDA error: the device is gone" in caplog.text
    assert not (tmp_path / checkpoint.LAST).exists()


def test_a_full_disk_is_tried_once_for_the_same_pairs(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[Path] = []

    def full(path: Path, _: object) -> None:
        tried.append(path)
        raise MonetError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(MonetError, match="No space left"):
        Bench(tiny_data, tmp_path, *EXTRA).run(Horizon(pairs=4))
    assert len(tried) == 1
    assert caplog.text == ""
