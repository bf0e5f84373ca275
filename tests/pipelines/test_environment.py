"""What else a shell, a cluster or a notebook may have left in the environment, or taken from it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipelines import _memory, train
from pipelines._command import run_command
from tests.conftest import TINY
from tests.pipelines.conftest import ROOT, command

TORCHRUN = {
    **{"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"},
    **{"MASTER_ADDR": "localhost", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none"},
}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"WORLD_SIZE": ""}, "WORLD_SIZE is '' in the environment"),
        ({"RANK": "x"}, "RANK is 'x' in the environment"),
        ({"RANK": "-1"}, "RANK is '-1' in the environment"),
        ({"WORLD_SIZE": "٢"}, "WORLD_SIZE is '٢' in the environment"),
        ({**TORCHRUN, "WORLD_SIZE": "²"}, "WORLD_SIZE is '²' in the environment"),
        ({**TORCHRUN, "WORLD_SIZE": "9" * 5000}, "9' in the environment: torchrun sets it to a number; unset it"),
        ({**TORCHRUN, "RANK": "5"}, "RANK=5, LOCAL_RANK=0, WORLD_SIZE=2, LOCAL_WORLD_SIZE=2"),
        ({**TORCHRUN, "LOCAL_RANK": "2"}, "LOCAL_RANK=2, WORLD_SIZE=2"),
        ({**TORCHRUN, "LOCAL_WORLD_SIZE": "3"}, "LOCAL_WORLD_SIZE=3"),
        ({**TORCHRUN, "MASTER_PORT": "99999"}, "MASTER_PORT=99999 in the environment contradict each other"),
        ({**TORCHRUN, "MASTER_PORT": "http"}, "MASTER_PORT is 'http' in the environment"),
        ({**TORCHRUN, "TORCHELASTIC_RUN_ID": None}, "torchrun did not start this command: unset RANK, LOCAL_RANK"),
    ],
)
def test_variables_of_torchrun_that_make_no_sense_are_refused_at_once(
    changed: dict[str, str | None], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in changed.items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert command("train", "--data", "nowhere") == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_library_that_the_environment_keeps_from_starting_is_named() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "pipelines.train", "--data", "demo", "--budget", "5m"],
        cwd=ROOT,
        env=os.environ | {"TORCH_LOGS": "nonsense"},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    assert told.stderr.startswith("error: torch does not start, in this environment: Invalid log settings: nonsense")
    assert told.stderr.count("\n") == 1


def test_a_torchrun_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**TORCHRUN, "MASTER_PORT": "1", "TORCHELASTIC_USE_AGENT_STORE": "True"}.items():
        monkeypatch.setenv(name, value)
    words = ["--data", "demo", "--budget", "5m", "--run", str(tmp_path / "run")]
    assert run_command(train.main, words, several=True) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: torchrun does not answer at localhost:1 (Connection refused)")
    assert err.count("\n") == 1


def test_an_unknown_backend_of_matplotlib_ends_nothing(tiny_data: Path, tmp_path: Path) -> None:
    words = ["train", "--data", tiny_data, "--run", tmp_path / "run", *TINY, "--training.epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-m", f"pipelines.{words[0]}", *map(str, words[1:])],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "nonsense", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "curves.png").exists()
    assert "backend" not in done.stderr


@pytest.mark.parametrize("gigabytes", [0.15, 0.6, 1.5])
def test_little_address_space_is_told_in_one_line(gigabytes: float, tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 1e9), int(gigabytes * 1e9)))

    done = subprocess.run(
        [sys.executable, "-m", "pipelines.generate", "--checkpoint", "x", "--photos", "x", "--zip", "x.zip"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        preexec_fn=limited,
        capture_output=True,
        text=True,
    )
    if "of PyTorch alone take" not in done.stderr and done.returncode == 2:
        pytest.skip("PyTorch is small here")
    assert done.returncode == 1
    assert done.stderr.startswith("error: not enough memory")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore of it"),
    ],
)
def test_a_lack_of_memory_is_told_in_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: object) -> int:
        raise error

    def led_to_another(_: object) -> int:
        try:
            raise error
        except Exception:
            raise NameError("name '_C' is not defined")  # noqa: B904

    for function in (main, led_to_another):
        assert run_command(function, []) == 1
        err = capsys.readouterr().err
        assert err.startswith("error: not enough memory (")
        assert err.count("\n") == 1


def test_an_address_space_that_pytorch_does_not_fit_into_is_refused_before_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_memory, "address_space", lambda: 1_000_000)
    begun: list[object] = []

    def main(words: object) -> int:
        begun.append(words)
        return 0

    assert run_command(main, []) == 1
    assert begun == []
    assert "and the libraries of PyTorch alone take" in capsys.readouterr().err
    assert run_command(main, [], torch=False) == 0


def test_where_the_address_space_is_not_limited_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "address_space", lambda: None)
    _memory.require_room_for_torch()
    monkeypatch.setattr(_memory, "address_space", lambda: 2**50)
    _memory.require_room_for_torch()


def test_a_working_folder_that_is_gone_is_told_in_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["bash", "-c", f"rmdir '{gone}'; exec '{sys.executable}' -m pipelines.validate images.zip"],
        cwd=gone,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: no archive images.zip")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("given", [None, "0"])
def test_onnxruntime_tells_nobody_how_it_is_used_unless_the_user_wants_it(
    monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")  # what it was before comes back afterwards
    if given is None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    assert command("validate", "none.zip") == 2
    assert os.environ["ORT_DISABLE_TELEMETRY"] == (given or "1")
