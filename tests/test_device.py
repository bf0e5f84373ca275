from __future__ import annotations

import itertools
import time

import pytest
import torch

from monet import device as devices
from monet.device import (
    autocast,
    choose_device,
    choose_precision,
    compile_problem,
    describe_machine,
    device_problem,
    full_fp32,
    own_device,
)
from monet.distributed import Group
from monet.errors import InputError
from tests.conftest import FakeClock

CPU = torch.device("cpu")


def test_a_device_that_works_has_no_problem() -> None:
    assert device_problem(CPU) is None
    assert choose_device("cpu") == CPU


def test_auto_passes_over_an_accelerator_that_is_available_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = torch.device("meta")  # accepts tensors and cannot tell their values
    monkeypatch.setattr(devices, "_accelerators", lambda: [broken])
    assert device_problem(broken) is not None
    assert choose_device("auto") == CPU


@pytest.mark.parametrize("name", ["gpu", "cuda:x", ""])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="give auto, cpu, cuda"):
        choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_named_device_that_is_absent_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="device cuda does not work here: .*; give auto or cpu"):
        choose_device("cuda")


def group(local_rank: int, world_size: int) -> Group:
    """What a process knows of its group, without any process."""
    found = Group()
    found.local_rank, found.world_size, found.local_world_size = local_rank, world_size, world_size
    return found


def test_each_of_several_processes_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device_problem", lambda _: None)
    monkeypatch.setattr(devices, "_accelerators", lambda: [torch.device("cuda")])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [own_device("auto", group(rank, 2)) for rank in (0, 1)] == [torch.device("cuda:0"), torch.device("cuda:1")]
    assert own_device("auto", group(0, 1)) == torch.device("cuda")
    assert own_device("cpu", group(1, 3)) == CPU
    for name, processes in (("auto", 3), ("cuda:0", 2)):
        with pytest.raises(InputError, match=rf"{processes} processes here cannot each have a GPU .*2 CUDA GPUs\)"):
            own_device(name, group(0, processes))


def test_a_named_precision_is_taken_and_auto_is_one_of_them() -> None:
    assert choose_precision("fp16", CPU, time.monotonic) == "fp16"
    assert choose_precision("auto", CPU, time.monotonic) in ("fp32", "bf16")


@pytest.mark.parametrize(("faster", "expected"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_takes_bf16_only_where_it_is_faster(monkeypatch: pytest.MonkeyPatch, faster: bool, expected: str) -> None:
    monkeypatch.setattr(devices, "_bf16_is_faster", lambda _: faster)
    assert choose_precision("auto", CPU, time.monotonic) == expected


@pytest.mark.parametrize(("half", "expected"), [(0.001, "bf16"), (0.0019, "fp32")])
def test_a_cpu_has_the_same_precision_beside_a_program_that_takes_its_time(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, half: float, expected: str
) -> None:
    calls = itertools.count()

    def convolve(image: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        seconds, late_calls = (half, 6) if image.dtype == torch.bfloat16 else (0.002, 1)
        clock.advance(seconds + 0.004 * (next(calls) % 10 < late_calls))
        return image

    monkeypatch.setattr("torch.nn.functional.conv2d", convolve)
    assert choose_precision("auto", CPU, clock) == expected


@pytest.mark.parametrize(
    ("bf16", "capability", "expected"), [(True, (8, 0), "bf16"), (False, (7, 5), "fp16"), (False, (6, 0), "fp32")]
)
def test_a_gpu_takes_the_half_precision_that_its_hardware_has(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision("auto", torch.device("cuda"), time.monotonic) == expected


def test_autocast_leaves_fp32_alone_and_lowers_convolutions_otherwise() -> None:
    layer, image = torch.nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 4, 4)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        with autocast(CPU, precision):  # type: ignore[arg-type]
            assert layer(image).dtype == dtype


def test_the_machine_is_described() -> None:
    machine = describe_machine(CPU)
    assert machine["device"] == "cpu"
    assert machine["torch"] == torch.__version__
    assert machine["processors"] >= 1
    assert machine["memory_gb"] > 0


def test_a_compiler_that_fails_is_found_out_by_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Python.h: No such file\nand much more")

    monkeypatch.setattr(devices, "compiler", lambda: "/usr/bin/c++")
    monkeypatch.setattr(torch, "compile", broken)
    assert compile_problem(CPU) == "RuntimeError: Python.h: No such file"
    monkeypatch.setattr(devices, "compiler", lambda: None)
    assert compile_problem(CPU) == "no C++ compiler"


def cudnn_settings() -> tuple[object, ...]:
    """Those that are the process's, and that convolutions on a GPU obey."""
    cudnn = torch.backends.cudnn
    return cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32


@pytest.mark.parametrize("allowed", [True, False])
def test_full_fp32_forbids_tf32_on_cuda_and_leaves_all_else_as_it_was(
    monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", allowed)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = cudnn_settings()
    with pytest.raises(InputError), full_fp32(torch.device("cuda")):
        assert cudnn_settings() == (True, True, False, False)
        raise InputError("on the way")
    assert cudnn_settings() == before
    with full_fp32(CPU):
        assert cudnn_settings() == before
