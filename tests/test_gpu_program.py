"""The program for a first GPU, rehearsed on the CPU; and its checks, which must be able to say no."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from monet.errors import InputError, Interrupted
from monet.scoring.inception import FeatureExtractor
from monet.training.ema import MovingAverage
from monet.training.execution import Execution
from monet.training.guard import Guard
from monet.training.state import TrainingState
from tests.conftest import fill_folder
from tests.gpu import __main__ as program
from tests.gpu import compiling, inception, memory, precision, refusal, resume, runner, several, speed, whole
from tests.gpu.part import Found, Part, Place, Refuted, Skipped, require
from tests.gpu.parts import PARTS
from tests.gpu.results import Result, Results

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")

ROOT = Path(__file__).parents[1]
ON_CPU = ("--device", "cpu", "--tiny", "--out")


def kept(out: Path) -> dict[str, Result]:
    """The results that a run left, by part."""
    return Results(out).known


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """The exit code and the output folder of a whole run."""
    out = tmp_path_factory.mktemp("gpu")
    return program.main([*ON_CPU, str(out)]), out


@pytest.mark.slow  # a minute or two
def test_every_part_that_means_something_on_a_cpu_passes_there(rehearsed: tuple[int, Path]) -> None:
    code, out = rehearsed
    found = kept(out)
    assert list(found) == [part.name for part in PARTS]
    for part in PARTS:
        result = found[part.name]
        assert result.status == ("skipped" if part.cuda else "passed"), result
        assert len(result.line.splitlines()) == 1
        assert result.line == "skipped: no CUDA" or not part.cuda
    assert code == 0


@pytest.mark.slow  # a minute or two
def test_the_summary_is_a_table_with_a_line_for_each_part(rehearsed: tuple[int, Path]) -> None:
    lines = (rehearsed[1] / "summary.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [part.name for part in PARTS]
    assert {line.count("|") for line in lines} == {5}


@pytest.mark.slow  # a minute or two
def test_a_second_start_runs_nothing_that_is_done(
    rehearsed: tuple[int, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = rehearsed
    before = (out / "log.txt").read_bytes()
    assert program.main([*ON_CPU, str(out)]) == 0
    assert (out / "log.txt").read_bytes().removeprefix(before).split() == [b"==", b"identify"]
    assert capsys.readouterr().out.count("(known)") == sum(not part.cuda for part in PARTS)


def fine(place: Place) -> Found:
    print("something for the log")
    return Found("as it should be", {"seconds": place.seconds})


def refuted(_: Place) -> Found:
    raise Refuted("not as it should be")


def nothing_to_do(_: Place) -> Found:
    raise Skipped("nothing to do")


def broken(_: Place) -> Found:
    raise ZeroDivisionError("division by zero\nand more")


def killed(_: Place) -> Found:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def hanging(place: Place) -> Found:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (place.out / "sleeper").write_text(str(sleeper.pid))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
    return Found("never")


def part(work: Any, **options: Any) -> Part:
    return Part(name=work.__name__, about="", work=work, **{"least": 0.0, **options})


def alive(number: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_a_part_that_hangs_fails_or_dies_does_not_end_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = (part(hanging, limit=3.0), part(killed), part(broken), part(refuted), part(nothing_to_do), part(fine))
    assert program.main([*ON_CPU, str(tmp_path)], parts) == 1
    found = {name: (result.status, result.line) for name, result in kept(tmp_path).items()}
    assert found == {
        "hanging": ("stopped", "stopped at its limit of 3 s"),
        "killed": ("failed", f"its process ended with signal 9; {tmp_path / 'log.txt'} holds what it said"),
        "broken": ("failed", "ZeroDivisionError: division by zero"),
        "refuted": ("failed", "not as it should be"),
        "nothing_to_do": ("skipped", "skipped: nothing to do"),
        "fine": ("passed", "as it should be"),
    }
    assert not alive(int((tmp_path / "sleeper").read_text()))  # what a part has started ends with it
    log = (tmp_path / "log.txt").read_text()
    assert "something for the log" in log
    assert "Traceback" in log
    assert "| broken        | failed  |" in capsys.readouterr().out


def test_what_was_cut_short_is_asked_again_and_what_is_done_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = part(hanging)
    assert program.main([*ON_CPU, str(tmp_path), "--minutes", "0.05"], (slow, part(fine, least=1.0))) == 1
    assert {name: result.status for name, result in kept(tmp_path).items()} == {"hanging": "no time", "fine": "no time"}
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write('{"part": "fine", "sta')  # the power went
    assert program.main([*ON_CPU, str(tmp_path), "--only", "fine"], (slow, part(fine))) == 0
    assert kept(tmp_path)["fine"].status == "passed"
    capsys.readouterr()
    assert program.main([*ON_CPU, str(tmp_path), "--only", "fine"], (slow, part(fine))) == 0  # named: once more
    assert "(known)" not in capsys.readouterr().out
    assert [
        json.loads(line)["part"] for line in (tmp_path / "results.jsonl").read_text().splitlines() if "passed" in line
    ] == [
        "fine",
        "fine",
    ]


def test_what_is_known_when_it_is_interrupted_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = runner.answer

    def answer(work: Any, place: Place, name: str) -> Any:
        if work is hanging:
            raise Interrupted(signal.SIGINT)
        return real(work, place, name)

    monkeypatch.setattr(runner, "answer", answer)
    with pytest.raises(Interrupted):
        program.main([*ON_CPU, str(tmp_path)], (part(fine), part(hanging)))
    assert "| fine | passed |" in capsys.readouterr().out
    assert "as it should be" in (tmp_path / "summary.md").read_text()


def may_use_cuda(_: Place) -> Found:
    require(not torch.cuda._is_in_bad_fork(), "what this process is a copy of has touched CUDA")
    return Found("CUDA may be initialised")


def test_parts_may_use_cuda_though_their_processes_are_copies(tmp_path: Path) -> None:
    assert program.main([*ON_CPU, str(tmp_path)], (part(may_use_cuda),)) == 0


def test_a_part_without_its_modules_is_skipped_and_says_which(tmp_path: Path) -> None:
    parts = (part(fine, needs=("no_such_module", "json")),)
    assert program.main([*ON_CPU, str(tmp_path)], parts) == 0
    assert kept(tmp_path)["fine"].line == "skipped: no_such_module not installed"


def test_results_of_another_machine_are_not_mixed_in(tmp_path: Path) -> None:
    Results(tmp_path).belong_to({"device": "Tesla T4", "torch": "2.11.0", "shapes": "real"})
    with pytest.raises(InputError, match=r"holds results of Tesla T4, 2\.11\.0, real, this is cpu, .*: another --out"):
        program.main([*ON_CPU, str(tmp_path)], (part(fine),))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "everything"], "no part 'everything': --list shows them all"),
        (["--minutes", "0"], "--minutes is 0.0: give a number above 0"),
        (["--data", "nowhere"], "no folder nowhere: give one"),
        (["--inception-weights", "nowhere.pth"], "no file nowhere.pth: give one"),
        (["--fast"], "unrecognized arguments: --fast; python -m tests.gpu --help"),
        (["--out", __file__], "cannot be a folder for results"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        program.main([*ON_CPU, str(tmp_path), *words])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_how_to_rehearse() -> None:
    with pytest.raises(InputError, match="no CUDA here: .* rehearse with --device cpu --tiny"):
        program.main([])


def test_the_list_needs_nothing_but_torch() -> None:
    lacking = ["kornia", "torch_fidelity", "clearml", "platformdirs", "matplotlib", "jinja2"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({lacking})); from tests.gpu.__main__ import main; "
        "sys.exit(main(['--list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [part.name for part in PARTS]
    assert "(needs torch_fidelity)" in done.stdout


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(device="cpu", tiny=True, out=tmp_path)


def never(*_: Any, **__: Any) -> None:
    pass


def test_a_refused_step_that_some_optimizer_takes_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "found_inf", property(lambda self: torch.zeros(())))
    with pytest.raises(Refuted, match="the generators' loss not finite, in fp16: .*discriminator_a.* moved"):
        refusal.refused_step(place)


def test_a_guard_that_refuses_everything_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "found_inf", property(lambda self: torch.ones(())))
    with pytest.raises(Refuted, match="generator_ab, .* did not move in 12 steps in fp16"):
        refusal.refused_step(place)


def test_a_scale_that_stays_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.amp.GradScaler.update
    monkeypatch.setattr(torch.amp.GradScaler, "update", lambda self: real(self, self.get_scale()))
    with pytest.raises(Refuted, match="still refused at a scale of 1099511627776"):
        refusal.overflow(place)


def test_an_average_that_takes_in_a_bad_batch_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = MovingAverage.update
    monkeypatch.setattr(
        MovingAverage, "update", lambda self, pairs, size, keep: real(self, pairs, size, torch.tensor(True))
    )
    with pytest.raises(Refuted, match="a batch of NaN, or the step behind it, left traces"):
        refusal.incident(place)


def test_a_gradient_that_is_a_little_off_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = precision._taken, []

    def taken(place: Place, recipe: str, name: str, device: torch.device) -> precision.Step:
        calls.append(name)
        step = real(place, recipe, name, device)
        off = 1 + 1e-8 * (name == "float64" and calls.count("float64") % 2 == 0)
        return precision.Step(step.losses, {name: [off * x for x in xs] for name, xs in step.gradients.items()})

    monkeypatch.setattr(precision, "_taken", taken)
    monkeypatch.setattr(precision, "precisions", lambda _: ["float64"])
    with pytest.raises(Refuted, match=r"both ways: gradients in float64 off by 1\.0e-08, more than 1e-09"):
        precision.four_networks(place)
    assert precision.out_of_bounds("fp16", math.nan, math.nan) == [
        "losses in fp16 off by nan, more than 2e-02",
        "gradients in fp16 off by nan, more than 3e-01",
    ]


def test_moments_that_do_not_come_along_are_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_networks_only(self: TrainingState, contents: dict[str, Any], device: torch.device) -> None:
        for name, network in self.networks.named().items():
            network.load_state_dict(contents["networks"][name])

    monkeypatch.setattr(TrainingState, "load_state_dict", load_networks_only)
    with pytest.raises(Refuted, match="Adam's steps of the generators are on , not on cpu"):
        resume.resume(place)


def test_a_step_that_is_not_split_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Execution, "split", never)  # tries again with all at once
    with pytest.raises(Refuted, match="the step went through in 1 parts with memory for a half"):
        memory.split(place)


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False),
    ],
)
def test_a_lack_of_memory_in_unknown_words_is_noticed(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: RuntimeError, known: bool
) -> None:
    limits: list[float] = []
    for name, value in {
        "mem_get_info": (2**20, 2**31),
        "memory_reserved": 0,
        "empty_cache": None,
        "synchronize": None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", limits.append)

    def conv2d(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(torch.nn.functional, "conv2d", conv2d)
    if known:
        assert memory.words(place).line == "1 different messages, all known for what they are"
    else:
        with pytest.raises(Refuted, match="not taken for a lack of memory: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"):
            memory.words(place)
    assert limits[-1] == 1.0
    assert {limit for limit in limits if limit < 1} == {0.0, 2**-8, 2**-5, 2**-3, 2**-1}


def test_a_compiler_that_may_end_the_training_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: Execution, error: Exception) -> None:
        raise error

    monkeypatch.setattr(Execution, "use_eager", end)
    with pytest.raises(Refuted, match="a compiler that fails after a split ends the training"):
        compiling.recompiling(place)


def test_cudnn_that_is_off_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = FeatureExtractor.features

    def without_cudnn(self: FeatureExtractor, batches: Any) -> Any:
        with torch.backends.cudnn.flags(enabled=False):
            return real(self, batches)

    monkeypatch.setattr(FeatureExtractor, "features", without_cudnn)
    with pytest.raises(Refuted, match="cuDNN is off while Inception runs"):
        inception.cudnn(place)


def test_a_probe_that_counts_a_cold_start_is_noticed() -> None:
    assert speed.foreseen({"cold": 0.12, "warm": 0.1}, 0.1, 1.5).line == "cold 1.20×, warm 1.00× of 100.00 ms an image"
    with pytest.raises(Refuted, match=r"the probe is off, cold: cold 10\.35×, warm 1\.00×"):
        speed.foreseen({"cold": 1460.0, "warm": 141.0}, 141.0, 1.5)
    with pytest.raises(Refuted, match="the probe is off, cold and warm"):
        speed.foreseen({"cold": 0.01, "warm": 0.01}, 0.1, 1.5)


def test_processes_with_other_gradients_are_noticed() -> None:
    one, other = ({"gradients": {"generator_ab": [torch.tensor([3.0, 4.0 + off])]}} for off in (0.0, 0.5))
    assert several.worst(one, one) == 0
    assert several.worst(other, one) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("code", "said", "problem"),
    [
        (1, "trained on 4 pairs", "ends with exit code 1"),
        (0, "trained on 4\nwrote x/y.zip: 4\nMiFID 40\nwarning: late by 2m", "was late by 2m"),
        (0, "trained on 4 pairs\n", "says only: trained on 4 pairs"),
    ],
)
def test_a_run_that_fails_is_late_or_says_nothing_is_noticed(code: int, said: str, problem: str) -> None:
    with pytest.raises(Refuted, match=problem):
        whole.read(code, said)


def test_a_whole_run_is_one_line() -> None:
    said = "trained on 4 pairs\nwrote /somewhere/images.zip: 4 images\nMiFID 40\nlook at it\n"
    assert whole.read(0, said).line == "trained on 4 pairs; wrote images.zip: 4 images; MiFID 40"


def test_photos_of_a_data_set_are_used_where_one_is_named(tmp_path: Path) -> None:
    for name in ("photo_jpg", "monet_jpg"):
        fill_folder(tmp_path / name, 3, 0)
    found = speed.some_photos(Place(device="cpu", out=tmp_path, data=str(tmp_path)), 5)
    assert [path.name for path in found] == ["0.jpg", "1.jpg", "2.jpg", "0.jpg", "1.jpg"]


def test_require_passes_what_holds() -> None:
    require(True, "never said")
    with pytest.raises(Refuted, match="said"):
        require(False, "said")
