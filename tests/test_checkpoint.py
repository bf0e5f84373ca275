from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from monet import checkpoint
from monet.errors import InputError, MonetError


def saved(path: Path) -> Path:
    checkpoint.save(path, {"weights": torch.arange(1000.0), "counters": {"pairs": 3}})
    return path


def test_contents_come_back_as_they_were(tmp_path: Path) -> None:
    contents = checkpoint.load(saved(tmp_path / "last.pt"))
    assert torch.equal(contents["weights"], torch.arange(1000.0))
    assert contents["counters"] == {"pairs": 3}


def test_a_second_name_keeps_the_bytes_when_the_first_moves_on(tmp_path: Path) -> None:
    path = saved(tmp_path / "last.pt")
    before = path.read_bytes()
    checkpoint.keep_as(path, "epoch-0010.pt")
    checkpoint.save(path, {"counters": {"pairs": 4}})
    assert (tmp_path / "epoch-0010.pt").read_bytes() == before
    assert checkpoint.load(path)["counters"] == {"pairs": 4}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["epoch-0010.pt", "last.pt"]


def test_a_second_name_works_where_files_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "link", refuse)
    path = saved(tmp_path / "last.pt")
    checkpoint.keep_as(path, "epoch-0010.pt")
    assert (tmp_path / "epoch-0010.pt").read_bytes() == path.read_bytes()


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


def test_another_format_version_is_refused_with_both_numbers(tmp_path: Path) -> None:
    torch.save({"format": checkpoint.FORMAT, "version": 99}, tmp_path / "new.pt")
    with pytest.raises(InputError, match="format version 99; this monet reads 1"):
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
    assert checkpoint.load(path)["counters"] == {"pairs": 3}
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MonetError, match="cannot write"):
        saved(tmp_path / "file" / "last.pt")


def test_a_checkpoint_that_is_a_named_pipe_is_refused_at_once(pipe: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: it is a named pipe"):
        checkpoint.load(pipe)
