"""`translate` and `evaluate` with an engine, as a user calls them."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import monet
from pipelines._engine import add_engine_options, engine_name, exit_code
from tests.conftest import TINY_SETTINGS, fill_folder
from tests.pipelines.conftest import AS_IN_A_TERMINAL, ROOT, command, started
from tests.shards.conftest import fill_shards, rows_of


@pytest.fixture(autouse=True)
def _signals(own_signals: None) -> None:
    """Commands listen for signals; tests continue afterwards."""


@pytest.fixture(scope="module")
def checkpoint(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("shards") / "run"
    monet.train(tiny_data, run=run, settings={"training.epochs": 1, **TINY_SETTINGS})
    return run / "checkpoints" / "last.pt"


def words(checkpoint: Path, given: object, output: object, *more: object) -> list[object]:
    return ["--checkpoint", checkpoint, "--input", given, "--output", output, "--device", "cpu", *more]


def pixels(folder: Path) -> dict[object, object]:
    return {row["id"]: row["bytes"] for path in folder.glob("*.parquet") for row in rows_of(path)}


def test_both_engines_write_the_same_bytes_and_a_restart_does_nothing_twice(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = fill_shards(tmp_path / "in", 3, 4)
    assert command("translate", *words(checkpoint, given, tmp_path / "one", "--workers", 2)) == 0
    assert "painted 12 of 12 pictures in 3 shards" in capsys.readouterr().out
    assert command("translate", *words(checkpoint, given, tmp_path / "one")) == 0
    assert "3 of them were done before" in capsys.readouterr().out
    pytest.importorskip("ray", reason="Ray is not installed")
    more = ("--engine", "ray", "--workers", 2)
    assert command("translate", *words(checkpoint, given, tmp_path / "two", *more)) == 0
    assert pixels(tmp_path / "one") == pixels(tmp_path / "two")
    assert len(pixels(tmp_path / "one")) == 12


def test_what_cannot_be_read_is_told_and_the_exit_code_says_so(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = fill_folder(tmp_path / "in", 3, 0, (32, 32))
    (given / "1.jpg").write_bytes(b"no picture")
    assert command("translate", *words(checkpoint, given, tmp_path / "out", "--engine", "local", "--workers", 1)) == 1
    out = capsys.readouterr().out
    assert "painted 2 of 3 pictures" in out
    assert "could not be read: '1.jpg' in" in out
    more = ("--engine", "local", "--workers", 1, "--max-unreadable", 1)
    assert command("translate", *words(checkpoint, given, tmp_path / "out", *more)) == 0
    assert "could not be read: '1.jpg' in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--workers", 2), "--workers belongs to --engine"),
        (("--shards", "tar"), "--shards belongs to --engine"),
        (("--engine", "local", "--fps", 3), "--fps is for videos"),
        (("--engine", "local", "--ray-address", "auto"), "--ray-address is for --engine ray"),
        (("--engine", "local", "--gpus-per-worker", 1), "--gpus-per-worker is for --engine ray"),
        (("--engine", "local", "--precision", "auto"), "--precision auto could differ"),
        (("--engine", "local", "--max-unreadable", -1), "--max-unreadable is -1"),
        (("--max-unreadable", 1), "--max-unreadable belongs to --engine"),
        (("--engine", "ray", "--ray-address", ""), "--ray-address: the name is empty"),
        (("--engine", "local", "--shard-size", 0), "--shard-size is 0"),
        (("--engine", "local", "--workers", 0), "--workers is 0"),
        (("--engine", "local", "--batch-size", 0), "--batch-size is 0"),
        (("--engine", "ray", "--ray-address", "127.0.0.1:1"), "no Ray cluster"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[object, ...], said: str
) -> None:
    if "ray" in more:
        pytest.importorskip("ray", reason="Ray is not installed")
    given = fill_folder(tmp_path / "in", 1, 0, (32, 32))
    assert command("translate", *words(checkpoint, given, tmp_path / "out", *more)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert said in error


def test_it_ends_by_a_signal_leaves_no_process_and_goes_on_where_it_was(checkpoint: Path, tmp_path: Path) -> None:
    import psutil

    given = fill_shards(tmp_path / "in", 30, 8, (64, 64))
    line = words(checkpoint, given, tmp_path / "out", "--workers", 2)
    process = started("translate", *line, cwd=tmp_path)
    rows = tmp_path / "out" / "manifest"
    end = time.monotonic() + 90
    while time.monotonic() < end and len(list(rows.glob("*.json"))) < 3:
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    done = {path.name: path.stat().st_mtime_ns for path in rows.glob("*.json")}
    assert 3 <= len(done) < 30
    assert not list((tmp_path / "out").rglob("*.partial"))
    process = started("translate", *line, cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert f"{len(done)} of them were done before" in out
    assert {path.name: path.stat().st_mtime_ns for path in rows.glob("*.json") if path.name in done} == done
    assert len(pixels(tmp_path / "out")) == 240


def test_so_many_unreadable_pictures_may_be_lacking_but_no_shard() -> None:
    for most, lost, unreadable, code in (
        (None, [], 0, 0),
        (None, [], 1, 1),
        (1, [], 1, 0),
        (1, [], 2, 1),
        (9, ["in/a.parquet: damaged"], 1, 1),
    ):
        assert exit_code(argparse.Namespace(max_unreadable=most), lost, unreadable) == code


def test_a_cluster_of_its_own_has_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    for address in (None, "auto"):
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        parser = argparse.ArgumentParser()
        add_engine_options(parser)
        options = parser.parse_args(["--engine", "ray", *(["--ray-address", address] if address else [])])
        assert engine_name(options, "photos") == "ray"
        assert (os.environ.get("RAY_AUTH_MODE") == "token") == (address is None)
        assert len(os.environ.get("RAY_AUTH_TOKEN", "")) == (64 if address is None else 0)


SIGINT = pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)


@pytest.mark.parametrize(("number", "code"), [SIGINT, (signal.SIGHUP, 129)])
def test_a_terminal_that_signals_all_processes_at_once_gets_one_line(
    checkpoint: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    import psutil

    given = fill_shards(tmp_path / "in", 30, 8, (64, 64))
    line = [str(word) for word in words(checkpoint, given, tmp_path / "out", "--workers", 2)]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.translate", *line],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=AS_IN_A_TERMINAL,
        start_new_session=True,
    )
    end = time.monotonic() + 90
    while time.monotonic() < end and len(psutil.Process(process.pid).children()) < 3:
        time.sleep(0.05)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    told = [text for text in err.replace("\r", "\n").splitlines() if text.strip() and "translating" not in text]
    assert len(told) == 1, err
    assert not list(tmp_path.rglob("*.partial"))


def test_workers_end_with_a_command_that_is_killed(checkpoint: Path, tmp_path: Path) -> None:
    import psutil

    given = fill_shards(tmp_path / "in", 40, 8, (64, 64))
    process = started("translate", *words(checkpoint, given, tmp_path / "out", "--workers", 2), cwd=tmp_path)
    rows = tmp_path / "out" / "manifest"
    end = time.monotonic() + 90
    while time.monotonic() < end and not list(rows.glob("*.json")):
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def test_scores_with_an_engine_are_those_without(
    tmp_path: Path, random_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generated = fill_folder(tmp_path / "generated", 24, 0, (48, 48))
    reference = fill_folder(tmp_path / "reference", 9, 500, (48, 48))
    fixed = ("--reference", reference, "--feature-layer", "192", "--inception-weights", random_weights)
    assert command("evaluate", "--generated", generated, *fixed, "--json", tmp_path / "one.json") == 0
    more = ("--engine", "local", "--workers", 1, "--shard-size", 8, "--json", tmp_path / "two.json")
    assert command("evaluate", "--generated", generated, *fixed, *more) == 0
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("one.json", "two.json"))
    for name in ("fid", "mifid", "memorization_distance"):
        assert two[name] == pytest.approx(one[name], rel=1e-9), name
    for name in ("num_generated", "num_reference", "feature_layer", "epsilon"):
        assert two[name] == one[name]
    assert two["fid_low"] < two["fid"] < two["fid_high"]
    (generated / "5.jpg").write_bytes(b"no")
    assert command("evaluate", "--generated", generated, *fixed, *more) == 1
    out = capsys.readouterr()
    assert "left out" in out.err
    assert "'5.jpg' (not an image)" in out.out
