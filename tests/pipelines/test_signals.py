"""Real processes, really killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from monet import archive, checkpoint
from monet.errors import Interrupted, MonetError
from monet.generation.painter import Painter
from monet.run import submit
from pipelines._command import run_command
from pipelines._streams import Stream
from tests.conftest import TINY
from tests.pipelines.conftest import AS_IN_A_TERMINAL, ROOT, command, finish, started
from tests.training.comparison import differences

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")

TIMING = ("seconds", "pairs_per_second", "time_left")
SETTINGS = [*TINY, "--training.save_every", "1", "--training.ema", "0.99", "--training.epochs"]


def metrics(run: Path) -> list[dict[str, object]]:
    """Every step's line, but for its timing."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMING} for line in lines]


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 90) -> None:
    """Waits until a file appears."""
    until = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, f"no {path}"
        time.sleep(0.02)


def killed_and_resumed(
    data: Path, folder: Path, epochs: int, kills: int, number: signal.Signals, threads: int, code: int
) -> None:
    """Kills a run at random moments, resumes it each time, and compares it with one that was left alone."""
    words = ("--data", data, *SETTINGS, str(epochs))
    finish(started("train", *words, "--run", folder / "whole", cwd=folder, threads=threads), 0)
    chance, run, hit = random.Random(1), folder / "pieces", 0
    for attempt in range(3 * kills):
        process = started("train", *words, "--run", run, "--resume", cwd=folder, threads=threads)
        # From before the first import to well into training; later attempts wait until training continues.
        begun = len(metrics(run)) if (run / "metrics.jsonl").exists() else 0
        if attempt % 3:
            while process.poll() is None and (not (run / "metrics.jsonl").exists() or len_lines(run) <= begun):
                time.sleep(0.02)
        time.sleep(chance.uniform(0, 3))
        if process.poll() is not None:
            break
        os.kill(process.pid, number)
        process.communicate(timeout=120)
        assert process.returncode == code or process.returncode == -number
        hit += 1
        if hit == kills:
            break
    assert hit == kills
    finish(started("train", *words, "--run", run, "--resume", cwd=folder, threads=threads), 0)
    for name in ["last.pt", *(checkpoint.epoch_name(epoch) for epoch in range(1, epochs + 1))]:
        one, two = (checkpoint.load(folder / which / "checkpoints" / name) for which in ("whole", "pieces"))
        assert differences(one, two, ("seconds",)) == [], name
    assert metrics(folder / "whole") == metrics(run)


def len_lines(run: Path) -> int:
    return (run / "metrics.jsonl").read_bytes().count(b"\n")


def test_a_run_that_is_killed_and_resumed_equals_one_that_was_left_alone(tiny_data: Path, tmp_path: Path) -> None:
    killed_and_resumed(tiny_data, tmp_path, 40, 3, signal.SIGKILL, threads=1, code=-signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ten_kills_make_no_difference(tiny_data: Path, tmp_path: Path, number: signal.Signals) -> None:
    killed_and_resumed(tiny_data, tmp_path, 120, 10, number, threads=2, code=128 + number)


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGHUP, 129, "SIGHUP")],
)
def test_a_signal_ends_training_with_a_save_and_says_how_to_go_on(
    tiny_data: Path, tmp_path: Path, number: signal.Signals, code: int, name: str
) -> None:
    run = tmp_path / "run"
    process = started("submit", "--data", tiny_data, "--run", run, *TINY, "--training.epochs", "5000", cwd=tmp_path)
    wait_for(run / "metrics.jsonl", process)
    process.send_signal(number)
    out, err = finish(process, code)
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"{name}: stopped after ")
    assert f"{run / 'checkpoints' / 'last.pt'} is saved: add --resume to the command to resume" in last
    assert "Traceback" not in err
    assert out == ""
    counters = checkpoint.load(run / "checkpoints" / "last.pt")["counters"]
    assert counters["pairs"] == metrics(run)[-1]["pairs"]
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["last.pt"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_command_is_still_imported_ends_it_in_silence(number: signal.Signals) -> None:
    code = "import sys, time\nsys.argv = ['-m']\nimport pipelines\nprint('ready', flush=True)\ntime.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=AS_IN_A_TERMINAL,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert finish(process, 128 + number) == ("", "")


def test_a_signal_before_training_ends_the_command_at_once(tiny_data: Path, tmp_path: Path) -> None:
    process = started("submit", "--data", tiny_data, "--run", tmp_path / "run", *TINY, "--budget", "5h", cwd=tmp_path)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = finish(process, 130)
    assert "Traceback" not in err


def scripted(main: str, folder: Path, **options: Any) -> subprocess.Popen[str]:
    """Starts a command that consists of a few lines, which print "ready" when the signal may come."""
    (folder / "script.py").write_text(
        "import sys, time, pathlib\n"
        "from pipelines._command import run_command\nfrom pipelines._processes import leave\n"
        f"def main(arguments):\n{textwrap.indent(textwrap.dedent(main), '    ')}\n"
        "if __name__ == '__main__':\n    leave(run_command(main))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **{"preexec_fn": AS_IN_A_TERMINAL, **options},
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    return process


READY = 'print("ready", flush=True)'


@pytest.mark.parametrize(
    "main",
    [
        f"""
        {READY}
        time.sleep(60)
        """,
        f"""
        pathlib.Path("slow.py").write_text(
            "import time\\ntry:\\n  time.sleep(60)\\nexcept BaseException as error: raise ImportError from error"
        )
        {READY}
        import slow
        """,
        f"""
        class Slow:
            def __del__(self):
                {READY}
                time.sleep(3)
        slow = Slow()
        del slow
        time.sleep(60)
        """,
        f"""
        import asyncio
        async def wait():
            {READY}
            time.sleep(60)
        asyncio.run(wait())
        """,
        f"""
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(time.sleep, 3)
            {READY}
            future.result()
        """,
    ],
    ids=["in plain code", "in an import", "while an object is deleted", "in a loop", "while a thread is waited for"],
)
def test_a_signal_ends_a_command_wherever_it_comes(main: str, tmp_path: Path) -> None:
    process = scripted(main, tmp_path)
    process.send_signal(signal.SIGTERM)
    _, err = finish(process, 143)
    assert err.strip().startswith("SIGTERM: stopped")
    assert err.strip().count("\n") == 0


def test_a_signal_in_an_import_during_a_run_comes_when_that_is_over(tmp_path: Path) -> None:
    process = scripted(
        f"""
        from pipelines._signals import SIGNALS
        SIGNALS.begin_run()
        pathlib.Path("slow.py").write_text("import time\\ntime.sleep(1)")
        {READY}
        import slow
        try:
            time.sleep(60)
        finally:
            print("imported")
        """,
        tmp_path,
    )
    process.send_signal(signal.SIGHUP)
    out, err = finish(process, 129)
    assert (out, err) == ("imported\n", "SIGHUP: stopped\n")


def test_a_ctrl_c_that_all_processes_of_a_terminal_hear_shows_one_line(tmp_path: Path) -> None:
    process = scripted(
        """
        from monet.data.demo import demo_data
        begin = lambda _: print("ready", flush=True)
        demo_data(pathlib.Path("cache"), photos=2000, paintings=10, workers=2, begin=begin)
        """,
        tmp_path,
        start_new_session=True,
    )
    os.killpg(process.pid, signal.SIGINT)
    _, err = finish(process, 130)
    assert err == "Ctrl-C: stopped\n"
    assert not list((tmp_path / "cache").glob("demo*/*"))


def test_a_second_signal_ends_a_command_that_does_not_end_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    process = scripted(
        f"""
        from monet.files import written_whole
        with written_whole(pathlib.Path("whole.txt")) as file:
            try:
                {READY}
                time.sleep(60)
            finally:
                print("ending", flush=True)
                time.sleep(60)
        """,
        tmp_path,
    )
    process.send_signal(signal.SIGINT)
    assert process.stdout
    assert process.stdout.readline() == "ending\n"
    assert (tmp_path / "whole.txt.partial").exists()
    process.send_signal(signal.SIGINT)  # the same one again, as a terminal and torchrun both send it
    time.sleep(1.1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = finish(process, 130)
    assert err.strip() == "Ctrl-C: stopped at once"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script.py"]


def test_a_signal_that_comes_when_a_command_has_its_exit_code_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []

    def flush(_: Stream) -> None:
        signal.raise_signal(signal.SIGTERM)

    def main(_: object) -> int:
        monkeypatch.setattr(Stream, "flush", flush)
        return 0

    with contextlib.suppress(Interrupted):  # it would end the tests
        codes.append(run_command(main, []))
    assert codes == [0]


def test_a_signal_that_comes_while_an_error_is_on_its_way_out_does_not_hide_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main(words: object) -> int:
        try:
            raise MonetError("lost another process: --resume continues")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    assert run_command(main, [], torch=False) == 1
    assert capsys.readouterr().err == "error: lost another process: --resume continues\n"


def test_a_hang_up_is_ignored_where_it_was_ignored_before(tmp_path: Path) -> None:
    def under_nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = scripted(f"{READY}\ntime.sleep(1)\nreturn 0", tmp_path, preexec_fn=under_nohup)
    process.send_signal(signal.SIGHUP)
    finish(process, 0)


def sent_at(delay: float, number: signal.Signals, data: Path, run: Path) -> tuple[int, str]:
    """Sends a signal so many seconds after the start of a submission; returns its exit code and its stderr."""
    words = ("--data", data, "--run", run, *TINY, "--training.epochs", "2", "--training.save_every", "1")
    process = started("submit", *words, cwd=run.parent)
    time.sleep(delay)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def ends_well(code: int, err: str, number: signal.Signals, run: Path) -> None:
    """The exit code is one of the contract, or of a Python that had not begun the command; the archive is whole."""
    begun = "pipelines" in err or "monet" in err or "Traceback" not in err
    assert code in (0, 128 + number, *([] if err else [-number]), *([] if begun else [-signal.SIGINT, 1])), err
    assert "Traceback" not in err or not begun
    assert "unexpected" not in err
    if (run / "images.zip").exists():
        assert archive.validate(run / "images.zip", "any").valid


@pytest.mark.parametrize("delay", [0.05, 0.3, 0.8, 1.6])
def test_a_signal_at_any_moment_ends_in_a_code_of_the_contract(delay: float, tiny_data: Path, tmp_path: Path) -> None:
    ends_well(*sent_at(delay, signal.SIGTERM, tiny_data, tmp_path / "run"), signal.SIGTERM, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_sweep_over_all_moments_finds_none_that_shows_a_traceback(
    number: signal.Signals, tiny_data: Path, tmp_path: Path
) -> None:
    for moment in range(120):
        code, err = sent_at(0.05 * moment, number, tiny_data, tmp_path / str(moment))
        ends_well(code, err, number, tmp_path / str(moment))


def test_a_command_killed_while_it_paints_leaves_no_archive_that_looks_whole(tiny_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("--data", tiny_data, "--run", run, *TINY, "--training.epochs", "1", "--generation.batch_size", "1")
    process = started("submit", *words, cwd=tmp_path)
    partial = run / "images.zip.partial"
    wait_for(partial, process)  # written from the first painted photo on
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    if not (run / "images.zip").exists():  # else it was quicker than we
        assert partial.exists()
    finish(started("submit", *words, "--resume", cwd=tmp_path), 0)
    assert (run / "images.zip").exists()
    assert not partial.exists()


@pytest.mark.parametrize(
    ("place", "name"), [(Painter, "paint_archive"), (submit, "_checked")], ids=["as painting ends", "afterwards"]
)
def test_a_signal_that_comes_when_the_archive_has_its_name_says_that_it_is_complete(
    place: Any,
    name: str,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inner, run = getattr(place, name), tmp_path / "run"

    def interrupted(*words: Any, **options: Any) -> Any:
        found = inner(*words, **options)
        signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(place, name, interrupted)
    assert command("submit", "--data", tiny_data, "--run", run, *TINY, "--training.epochs", "1") == 130
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == f"Ctrl-C: stopped after the painting; {run / 'images.zip'} is complete"
    assert "Traceback" not in err
    assert archive.validate(run / "images.zip", "any").valid


def test_nothing_a_user_can_cause_shows_a_traceback_but_debug_does(tmp_path: Path) -> None:
    _, err = finish(started("submit", "--data", "nowhere", "--budget", "5m", cwd=tmp_path), 2)
    assert err.startswith("error: no folder nowhere: give one that holds photo_jpg/ and monet_jpg/, or ")
    assert err.count("\n") == 1
    _, err = finish(started("submit", "--data", "nowhere", "--budget", "5m", "--debug", cwd=tmp_path), 2)
    assert "Traceback" in err
