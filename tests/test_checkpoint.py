from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from monet import checkpoint
from monet.checkpoint.contents import digest
from monet.config import Config, to_dict
from monet.errors import InputError, MonetError


def contents(pairs: int = 3) -> dict[str, Any]:
    """The sections of a run, with tensors that stand for its networks'."""
    moments = {"step": torch.tensor(1.0), "exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)}
    optimizer = {"state": {0: moments}, "param_groups": [{"lr": 0.1, "betas": (0.5, 0.999), "params": [0]}]}
    names = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
    return {
        "config": to_dict(Config()),
        "precision": "fp32",
        "data": {"photos": 12, "paintings": 5},
        "horizon": {"pairs": 8, "seconds": None},
        "counters": {"step": 1, "pairs": pairs, "skipped": 0, "seconds": 1.5, "progress": 0.25, "fp32_until": 0},
        "incidents": [],
        "networks": {name: {"weight": torch.arange(1000.0)} for name in names},
        "ema": None,
        "optimizers": {"generators": optimizer, "discriminators": optimizer},
        "scaler": {},
        "pools": {"a": {"images": None}, "b": {"images": torch.zeros(2, 3, 4, 4)}},
    }


def saved(path: Path) -> Path:
    checkpoint.save(path, contents())
    return path


def test_contents_come_back_as_they_were(tmp_path: Path) -> None:
    found = checkpoint.load(saved(tmp_path / "last.pt"))
    assert torch.equal(found["networks"]["generator_ab"]["weight"], torch.arange(1000.0))
    assert {name: found[name] for name in ("counters", "config", "horizon")} == {
        name: contents()[name] for name in ("counters", "config", "horizon")
    }
    checkpoint.save(tmp_path / "again.pt", found)
    assert checkpoint.load(tmp_path / "again.pt")["counters"] == found["counters"]


def test_a_second_name_keeps_the_bytes_when_the_first_moves_on(tmp_path: Path) -> None:
    path = saved(tmp_path / "last.pt")
    before = path.read_bytes()
    checkpoint.keep_as(path, "epoch-0010.pt")
    checkpoint.save(path, contents(pairs=4))
    assert (tmp_path / "epoch-0010.pt").read_bytes() == before
    assert checkpoint.load(path)["counters"]["pairs"] == 4
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["epoch-0010.pt", "last.pt"]


def test_a_second_name_works_where_files_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "link", refuse)
    path = saved(tmp_path / "last.pt")
    checkpoint.keep_as(path, "epoch-0010.pt")
    assert (tmp_path / "epoch-0010.pt").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name_is_on_the_disk_when_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """What is not flushed may be empty after a power failure, under a name that says it is whole."""
    path = saved(tmp_path / "last.pt")
    flushed: set[int] = {path.stat().st_ino}

    def refuse(*_: object) -> None:
        raise OSError("links are not supported")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.add(os.fstat(descriptor).st_ino))
    checkpoint.keep_as(path, "epoch-0010.pt")
    assert {(tmp_path / "epoch-0010.pt").stat().st_ino, tmp_path.stat().st_ino} <= flushed


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint .*nothing.pt: give a file such as"):
        checkpoint.load(tmp_path / "nothing.pt")


@pytest.mark.parametrize("size", [0, 10, 1000, 4000])
def test_a_torn_file_is_refused(tmp_path: Path, size: int) -> None:
    path = saved(tmp_path / "last.pt")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="torn or not a checkpoint") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path / "last.pt")
    data = bytearray(path.read_bytes())
    position = data.find(torch.arange(500.0, 510.0).numpy().tobytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="is damaged"):
        checkpoint.load(path)


def test_contents_that_are_not_those_that_were_saved_are_noticed_by_their_digest(tmp_path: Path) -> None:
    path = saved(tmp_path / "last.pt")
    stored = torch.load(path, weights_only=True)
    for change in ({"precision": "bf16"}, {"pools": {**stored["pools"], "a": stored["pools"]["b"]}}, {"digest": None}):
        torch.save(stored | change, path)
        with pytest.raises(InputError, match="what it holds is not what was saved: the digest is another; use another"):
            checkpoint.load(path)
    stored["networks"]["generator_ab"]["weight"][7] = -7.0
    torch.save(stored, path)
    with pytest.raises(InputError, match="the digest is another"):
        checkpoint.load(path)


def test_the_digest_does_not_depend_on_how_a_tensor_is_laid_out() -> None:
    image = torch.rand(2, 3, 4, 5)
    laid_out = image.contiguous(memory_format=torch.channels_last)
    assert laid_out.stride() != image.stride()
    digests = {digest({"image": value}) for value in (image, laid_out, torch.stack([image, image], -1)[..., 1])}
    assert len(digests) == 1
    others: list[dict[str, Any]] = [
        {"image": image.double()},
        {"image": image.view(3, 2, 4, 5)},
        {"image": -image},
        {"photo": image},
    ]
    assert len({*digests, *(digest(other) for other in others)}) == 5


def test_the_stride_of_a_single_value_means_nothing() -> None:
    one = torch.ones(1)
    assert digest({"one": one}) == digest({"one": one.as_strided((1,), (17,))})


def test_names_and_numbers_of_different_types_have_different_digests() -> None:
    values: list[dict[str, Any]] = [
        {"a": 1},
        {"a": 1.0},
        {"a": True},
        {"a": "1"},
        {"a": [1]},
        {"a": {1: 1}},
        {"a": {"1": 1}},
        {"a": None},
        {},
    ]
    assert len({digest(value) for value in values}) == len(values)


def test_a_checkpoint_without_a_digest_from_an_earlier_version_is_read_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save({"format": checkpoint.FORMAT, "version": 1, **contents()}, tmp_path / "old.pt")
    with caplog.at_level("DEBUG", logger="monet"):
        assert checkpoint.load(tmp_path / "old.pt")["counters"]["pairs"] == 3
    assert "it has no digest to check" in caplog.text
    torch.save({"format": checkpoint.FORMAT, "version": 1, **contents(), "horizon": 3}, tmp_path / "old.pt")
    with pytest.raises(InputError, match="is damaged: horizon is 3, expected a dict"):
        checkpoint.load(tmp_path / "old.pt")


def test_another_format_version_is_refused_with_both_numbers(tmp_path: Path) -> None:
    torch.save({"format": checkpoint.FORMAT, "version": 99}, tmp_path / "new.pt")
    with pytest.raises(InputError, match="format version 99; this monet reads 1 to 2"):
        checkpoint.load(tmp_path / "new.pt")


def test_a_checkpoint_of_another_program_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="not one of monet's"):
        checkpoint.load(tmp_path / "other.pt")


def test_a_file_that_would_run_code_is_refused_and_does_not_run_it(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"format": checkpoint.FORMAT, "version": 1, "evil": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="not one of monet's"):
        checkpoint.load(tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError):
        checkpoint.load(tmp_path / "plain.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_disk_that_fills_up_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    path = saved(tmp_path / "last.pt")
    script = f"""
import resource, signal, torch
from pathlib import Path
from monet import checkpoint
from monet.errors import MonetError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoint.save(Path({str(path)!r}), {{"weights": torch.zeros(1_000_000)}})
except MonetError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "cannot write" in done.stdout
    assert "the earlier file is untouched" in done.stdout
    assert done.stdout.count("\n") == 1
    assert checkpoint.load(path)["counters"]["pairs"] == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_nobody_could_go_on_from_does_not_replace_what_was_saved(wrong: float, tmp_path: Path) -> None:
    path = saved(tmp_path / "last.pt")
    before = path.read_bytes()
    bad = contents()
    bad["networks"]["generator_ab"]["weight"] = torch.tensor([1.0, wrong])
    with pytest.raises(
        MonetError, match=r"networks.generator_ab.weight holds numbers that are not finite: .* as it was"
    ):
        checkpoint.save(path, bad)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MonetError, match="cannot write"):
        saved(tmp_path / "file" / "last.pt")


def test_a_checkpoint_that_is_a_named_pipe_is_refused_at_once(pipe: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: it is a named pipe"):
        checkpoint.load(pipe)
