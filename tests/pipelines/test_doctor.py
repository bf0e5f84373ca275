from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import pytest
import torch

import pipelines.doctor
from monet import doctor
from monet.scoring import weights
from pipelines._command import run_command
from pipelines._credentials import credentials
from tests.pipelines.conftest import command


def test_the_doctor_reports_what_it_tried(capsys: pytest.CaptureFixture[str]) -> None:
    code = command("doctor")
    out = capsys.readouterr().out
    for topic in ("device", "precision", "compiler", "memory", "disk", "data", "weights", "credentials"):
        assert re.search(rf"^(ok|--|!!) +{topic} ", out, re.M), topic
    assert out.splitlines()[-1].startswith("ready: " if code == 0 else "not ready: ")


def test_a_gpu_that_is_available_and_fails_is_a_problem_that_names_the_t4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla P100-PCIE-16GB")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_70", "sm_75"])
    failure = "CUDA error: no kernel image is available for execution on the device"
    monkeypatch.setattr(doctor, "device_problem", lambda _: failure)
    monkeypatch.setattr(doctor, "choose_device", lambda _: torch.device("cpu"))
    assert command("doctor") == 1
    out = capsys.readouterr().out
    assert "Tesla P100-PCIE-16GB (sm_60) fails: CUDA error: no kernel image" in out
    assert "has kernels for sm_70, sm_75: on Kaggle, choose GPU T4 x2" in out
    assert out.endswith("not ready: device\n")


def test_two_gpus_that_work_are_two_to_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    monkeypatch.setattr(doctor, "device_problem", lambda _: None)
    monkeypatch.setattr(doctor, "choose_device", lambda _: torch.device("cpu"))
    found = [finding.message for finding in doctor.examine(tmp_path, tmp_path, {}, time.monotonic)]
    assert found[:2] == ["Tesla T4 (sm_75) works"] * 2
    assert found[2] == "torchrun --nproc-per-node 2 -m -- pipelines.submit uses all of them"


def test_the_time_left_is_said_where_there_is_a_budget(capsys: pytest.CaptureFixture[str]) -> None:
    command("doctor", "--budget", "90h")
    out = capsys.readouterr().out
    assert re.search(r"^ok +time +(90h00m|89h\d+m(\d+s)?) left$", out, re.M), out
    pipelines.STARTED -= 60
    assert run_command(pipelines.doctor.main, ["--budget", "1s"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^!! +time +the 1s are over: give --budget more$", out, re.M), out
    assert command("doctor", "--budget", "soon") == 2


KEYS = {"CLEARML_API_ACCESS_KEY": "x", "CLEARML_API_SECRET_KEY": "x"}


@pytest.mark.parametrize(
    ("variables", "netrc", "found"),
    [
        ({}, "", {"clearml": False, "wandb": False}),
        ({"CLEARML_API_ACCESS_KEY": "x"}, "", {"clearml": False, "wandb": False}),
        ({**KEYS}, "", {"clearml": True, "wandb": False}),
        ({**KEYS, "CLEARML_OFFLINE_MODE": "1"}, "", {"clearml": False, "wandb": False}),
        ({"WANDB_API_KEY": "x"}, "", {"clearml": False, "wandb": True}),
        ({"WANDB_API_KEY": "x", "WANDB_MODE": "offline"}, "", {"clearml": False, "wandb": False}),
        ({}, "machine api.wandb.ai login user password x", {"clearml": False, "wandb": True}),
        ({}, "machine", {"clearml": False, "wandb": False}),
        ({}, "machine api.wandb.ai login \xe9 password x", {"clearml": False, "wandb": False}),
    ],
)
def test_trackers_are_online_where_there_are_credentials(
    variables: dict[str, str], netrc: str, found: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLEARML_CONFIG_FILE", "CLEARML_API_ACCESS_KEY", "CLEARML_OFFLINE_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if netrc:
        (tmp_path / ".netrc").write_bytes(netrc.encode("latin-1"))
    assert credentials() == found
    (tmp_path / "clearml.conf").write_text("")
    assert credentials()["clearml"] == ("CLEARML_OFFLINE_MODE" not in variables)


def test_too_little_disk_or_memory_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "available_memory", lambda: 10**9)
    findings = {
        finding.topic: finding for finding in doctor.examine(tmp_path, tmp_path, {"Kaggle": True}, time.monotonic)
    }
    assert findings["memory"].status == "problem"
    assert findings["memory"].message == "1.0 GB free: the competition's data wants 4 GB"
    assert findings["credentials"].message == "Kaggle: found"


def test_a_missing_compiler_is_only_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "compiler", lambda: None)
    findings = {finding.topic: finding for finding in doctor.examine(tmp_path, tmp_path, {}, time.monotonic)}
    assert findings["compiler"].status == "note"


def test_the_scorers_weights_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def found() -> doctor.Finding:
        return next(item for item in doctor.examine(tmp_path, tmp_path, {}, time.monotonic) if item.topic == "weights")

    assert found().status == "note"
    path = tmp_path / "checkpoints" / weights.FILE_NAME
    path.parent.mkdir()
    path.write_bytes(b"released")
    assert found().status == "note"  # damaged
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(b"released").hexdigest())
    assert (found().status, found().message) == ("ok", str(path))
