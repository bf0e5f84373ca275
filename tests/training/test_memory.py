"""Less memory, the same step: batches in parts, activations computed once more, a retry when memory runs out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from monet.errors import MonetError
from monet.settings import resolve
from monet.training.execution import Execution
from monet.training.memory import OutOfMemory, Recomputing
from monet.training.state import TrainingState
from monet.training.trainer import Trainer
from tests.training.test_step import largest_difference, steps, trainer

STEPS = 4


def limit(engine: Trainer, network: str, images: int) -> list[int]:
    """Lets a network run out of memory above so many images at once; returns the sizes that it is given."""
    sizes: list[int] = []

    def forward_hook(_: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > images:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nand more")

    engine.state.networks.named()[network].register_forward_pre_hook(forward_hook)
    return sizes


@pytest.mark.parametrize(("batch", "accumulation", "parts"), [(4, 2, 2), (4, 3, 4), (3, 2, 3), (6, 2, 2), (5, 9, 5)])
def test_a_batch_in_equal_parts_gives_the_losses_and_gradients_of_the_whole(
    tmp_path: Path, batch: int, accumulation: int, parts: int
) -> None:
    whole = steps(trainer(tmp_path, {"batch_size": batch}), STEPS)
    split = trainer(tmp_path, {"batch_size": batch, "accumulation": accumulation})
    sizes = limit(split, "generator_ab", 2 * batch)
    found = steps(split, STEPS)
    assert largest_difference(found, whole) <= 1e-9
    for mine, theirs in zip(found.losses, whole.losses, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)
    part = batch // parts
    assert sizes == [2 * part, part] * parts * STEPS  # photos and paintings pass together, then what was made of photos


def test_activations_that_are_computed_once_more_give_the_same_gradients(tmp_path: Path) -> None:
    kept = steps(trainer(tmp_path), STEPS)
    engine = trainer(tmp_path, {"activation_checkpointing": True})
    assert isinstance(engine.execution.networks_for("fp32").generator_ab, Recomputing)
    sizes = limit(engine, "generator_ab", 100)
    assert largest_difference(steps(engine, STEPS), kept) <= 1e-12
    assert len(sizes) == 4 * STEPS  # two passes there, and both again on the way back
    assert next(iter(engine.state.state_dict()["networks"]["generator_ab"])).startswith("layers.")


def test_recomputed_activations_take_less_memory() -> None:
    def kept(activation_checkpointing: bool) -> int:
        config = resolve(
            {"model": {"width": 8, "discriminator_width": 4}},
            ["--training.activation_checkpointing", str(activation_checkpointing).lower()],
        )
        state = TrainingState.create(config, torch.device("cpu"), "fp32")
        execution = Execution(config, state, torch.device("cpu"), "fp32")
        storages: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        image = torch.rand(1, 3, 64, 64, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            result = execution.networks_for("fp32").generator_ab(image)
        assert result.requires_grad
        return sum(storages.values())

    assert kept(True) < kept(False) / 10


@pytest.mark.parametrize("network", ["generator_ba", "discriminator_b"])
def test_out_of_memory_splits_the_batch_says_so_and_changes_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, network: str
) -> None:
    settings = {"batch_size": 4}
    free = steps(trainer(tmp_path, settings), STEPS)
    engine = trainer(tmp_path, settings)
    sizes = limit(engine, network, 4)  # a joined pass is of eight
    assert largest_difference(steps(engine, STEPS), free) <= 1e-9
    assert engine.execution.parts == 2
    assert [size for size in sizes if size > 4] == [8]
    (record,) = caplog.records
    assert record.message == (
        "out of memory with 4 pairs at once (CUDA out of memory. Tried to allocate 2.00 GiB): from now on in 2 parts "
        "whose gradients are added up, which is the same step"
    )


def test_the_image_pool_takes_in_a_batch_once_however_often_it_is_tried(tmp_path: Path) -> None:
    settings = {"batch_size": 4, "pool_size": 3}
    free, tight = (trainer(tmp_path, settings) for _ in range(2))
    limit(tight, "discriminator_b", 4)
    for engine in (free, tight):
        steps(engine, STEPS)
    for name, pool in free.state.pools.items():
        found, expected = (each.state_dict()["images"] for each in (tight.state.pools[name], pool))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


RECOMPUTE, SMALLER = "training.activation_checkpointing", "training.batch_size"
OTHER = ["data.crop_size", "model.width"]


@pytest.mark.parametrize(
    ("settings", "model", "pairs", "advice"),
    [
        ({"batch_size": 4}, {}, "2 pairs", [RECOMPUTE, SMALLER, *OTHER]),
        ({"batch_size": 4, "activation_checkpointing": True}, {}, "2 pairs", [SMALLER, *OTHER]),
        ({"batch_size": 1}, {}, "one pair", [RECOMPUTE, *OTHER]),
        ({"batch_size": 4}, {"norm": "batch"}, "4 pairs", [SMALLER, *OTHER]),
    ],
    ids=["the retry, too", "nothing is kept already", "nothing to split", "batch norm would see other batches"],
)
def test_where_a_split_does_not_help_the_error_names_the_settings_that_do(
    tmp_path: Path, settings: dict[str, Any], model: dict[str, Any], pairs: str, advice: list[str]
) -> None:
    engine = trainer(tmp_path, settings, **model)
    limit(engine, "generator_ab", 0)
    with pytest.raises(OutOfMemory, match=pairs) as caught:
        engine.take_step(0.0)
    assert re.findall(r"--((?:training|data|model)\.\w+)", str(caught.value)) == advice


@pytest.mark.parametrize(
    "words",
    [
        "GET was unable to find an engine to execute this computation",
        "FIND was unable to find an engine to execute this computation",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "MPS backend out of memory (MPS allocated: 8.00 GB)",
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried",
    ],
)
def test_a_lack_of_memory_is_known_by_whatever_words_a_library_has_for_it(tmp_path: Path, words: str) -> None:
    engine = trainer(tmp_path, {"batch_size": 2})

    def forward_hook(_: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if len(inputs[0]) > 2:
            raise RuntimeError(words)

    engine.state.networks.generator_ab.register_forward_pre_hook(forward_hook)
    steps(engine, 1)
    assert engine.execution.parts == 2


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    engine = trainer(tmp_path)

    def broken(*_: object) -> None:
        raise RuntimeError("expected a 3-dimensional tensor")

    engine.state.networks.generator_ab.register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="3-dimensional"):
        engine.take_step(0.0)


def test_recomputing_is_refused_where_it_would_count_statistics_twice() -> None:
    with pytest.raises(MonetError, match="activation_checkpointing with model.norm batch"):
        resolve({"model": {"norm": "batch"}}, ["--training.activation_checkpointing", "true"])
