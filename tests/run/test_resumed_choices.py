"""What a resumed run keeps of what was chosen for it, and what it chooses anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from monet import device as devices
from monet.clock import Deadline
from monet.data.layout import find_layout
from monet.run.agreement import shared_precision, stored_workers
from monet.run.compilation import should_compile
from monet.run.resume import GivenSettings, merged_config
from monet.run.run import Run
from monet.run_folder.folder import RunFolder
from monet.settings import option_names, recipe_names, resolve
from monet.training.state import TrainingState, run_facts
from tests.conftest import FakeClock, context_of

MACHINES = {
    "cpu": torch.device("cpu"),
    "slow cpu": torch.device("cpu"),
    "t4": torch.device("cuda"),
    "a100": torch.device("cuda"),
    "mps": torch.device("mps"),
}


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes PyTorch tell of a machine what is known of it; returns its device."""

    def machine(name: str) -> torch.device:
        monkeypatch.setattr(devices, "_bf16_is_faster", lambda _: name == "cpu")
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: name == "a100")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0) if name == "a100" else (7, 5))
        return MACHINES[name]

    return machine


def resumed(
    data: Path, folder: Path, stored: list[str], facts: dict[str, Any], explicit: list[str], recipe: dict[str, Any]
) -> Run:
    """The run as the commands resume it."""
    config = resolve({}, [*stored, "--training.epochs", "1"])
    contents = {**run_facts(config, "fp32", 1, 1), "compiled": False, **facts}
    given = GivenSettings(explicit=option_names(explicit), in_recipe=recipe_names(recipe))
    config = merged_config(contents, resolve(recipe, explicit), given)
    clock, budget = FakeClock(), config.budget_seconds
    return Run(
        config=config,
        given=given,
        layout=find_layout(data),
        folder=RunFolder(folder / "run"),
        resumed_from=contents,
        deadline=None if budget is None else Deadline(clock, clock.now, budget),
    )


@pytest.mark.parametrize(
    ("setting", "facts", "machine", "explicit", "in_recipe", "expected"),
    [
        # As it was, though the probe would choose otherwise now.
        ("auto", {"precision": "bf16", "device": "cpu"}, "slow cpu", None, None, "bf16"),
        ("auto", {"precision": "bf16", "device": "cpu"}, "slow cpu", "auto", "auto", "bf16"),
        ("fp32", {"precision": "fp32", "device": "cpu"}, "cpu", None, None, "fp32"),
        # What is asked for, wherever that is written.
        ("fp32", {"precision": "fp32", "device": "cpu"}, "cpu", None, "bf16", "bf16"),
        ("fp32", {"precision": "fp32", "device": "cpu"}, "cpu", "bf16", None, "bf16"),
        ("fp32", {"precision": "fp32", "device": "cpu"}, "cpu", None, "auto", "bf16"),
        ("fp16", {"precision": "fp16", "device": "cpu"}, "slow cpu", "fp16", None, "fp16"),
        # Where the device is not made for it, or another kind that chose for itself.
        ("auto", {"precision": "bf16", "device": "cuda"}, "t4", None, None, "fp16"),
        ("bf16", {"precision": "bf16", "device": "cuda"}, "t4", None, None, "fp16"),
        ("auto", {"precision": "fp16", "device": "cuda"}, "a100", None, None, "fp16"),
        ("auto", {"precision": "fp32", "device": "cpu"}, "a100", None, None, "bf16"),
        ("fp32", {"precision": "fp32", "device": "cpu"}, "a100", None, None, "fp32"),
        ("auto", {"precision": "fp16", "device": "cuda"}, "slow cpu", None, None, "fp32"),
        ("auto", {"precision": "bf16", "device": "cuda"}, "mps", None, None, "fp32"),
    ],
)
def test_a_run_goes_on_in_its_precision_where_the_device_is_made_for_it_and_no_other_is_asked_for(
    tiny_data: Path,
    tmp_path: Path,
    on: Any,
    setting: str,
    facts: dict[str, Any],
    machine: str,
    explicit: str | None,
    in_recipe: str | None,
    expected: str,
) -> None:
    run = resumed(
        tiny_data,
        tmp_path,
        ["--training.precision", setting],
        facts,
        ["--training.precision", explicit] if explicit else [],
        {"training": {"precision": in_recipe}} if in_recipe else {},
    )
    assert shared_precision(run, on(machine), context_of(tmp_path, FakeClock())) == expected


@pytest.mark.parametrize(
    ("setting", "device", "explicit", "expected"),
    [
        ("null", "cpu", None, 2),
        ("null", "cpu", "null", 2),
        ("1", "cpu", "null", None),  # a probe is to tell
        ("null", "cuda", None, None),
    ],
)
def test_a_run_keeps_its_number_of_workers_on_a_cpu_unless_another_setting_is_asked_for(
    tiny_data: Path, tmp_path: Path, setting: str, device: str, explicit: str | None, expected: int | None
) -> None:
    facts = {"device": device, "workers": 1 if setting == "1" else 2}
    words = ["--training.workers", explicit] if explicit else []
    run = resumed(tiny_data, tmp_path, ["--training.workers", setting], facts, words, {})
    assert stored_workers(run) == expected


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("stored", "device", "explicit", "kept"),
    [
        ("auto", "cpu", [], True),
        ("auto", "cpu", ["--training.compile", "auto", "--budget", "10h"], True),
        ("on", "cpu", ["--training.compile", "auto"], False),
        ("auto", "cuda", [], False),
    ],
)
def test_on_a_cpu_an_automatic_choice_of_compilation_stays_what_it_was(
    tiny_data: Path, tmp_path: Path, before: bool, stored: str, device: str, explicit: list[str], kept: bool
) -> None:
    """Compiled networks round otherwise: a resumed run would not be the same to the bit."""
    settings = ["--training.compile", stored, "--model.width", "64"]
    for budget, chosen in (("5h", True), ("5m", False)):
        words = [*explicit, *([] if "--budget" in explicit else ["--budget", budget])]
        run = resumed(tiny_data, tmp_path, settings, {"device": device, "compiled": before}, words, {})
        state = TrainingState.create(run.config, torch.device("cpu"), "fp32")
        expected = before if kept else chosen
        assert should_compile(run, state, None, torch.device("cpu")) == expected
    for word in ("on", "off"):
        run = resumed(
            tiny_data, tmp_path, settings, {"device": device, "compiled": before}, [f"--training.compile={word}"], {}
        )
        assert should_compile(run, state, None, torch.device("cpu")) == (word == "on")
