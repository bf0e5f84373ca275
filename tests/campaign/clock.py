"""Clocks that jump, and files from other times."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from tests.campaign.material import PAINTED, SAVING, SCORED, STEPS, TINY, TRANSLATED
from tests.campaign.stage import Case, Stage

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);

/* Seconds by which the clock of the day is wrong now: JUMP_BY, in every second stretch of JUMP_EVERY seconds. */
static long long wrong(void)
{
    const char *by = getenv("JUMP_BY"), *every = getenv("JUMP_EVERY");
    struct timespec steady;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    if (!by) return 0;
    if (!every) return atoll(by);
    real(CLOCK_MONOTONIC, &steady);
    return (long long)((steady.tv_sec + steady.tv_nsec / 1e9) / atof(every)) % 2 ? atoll(by) : 0;
}

int clock_gettime(clockid_t which, struct timespec *found)
{
    long long by = wrong();
    int failed = real(which, found);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) found->tv_sec += by;
    return failed;
}

int gettimeofday(struct timeval *found, void *zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}
"""
"""A library that is loaded before the system's; in C, as what reads the clock is."""
_SUBMIT = ("submit", "--data", "data", "--run", "run", *TINY, *SAVING, *STEPS)
_RESUME = ("submit", "--data", "data", "--run", "run", *TINY, *SAVING)
_DAY, _YEAR = 86_400, 31_557_600


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class; nothing in them is chosen at random."""
    if shutil.which("cc"):
        yield from _of_the_day()
    yield from _steady()
    yield from _files()


def _library(stage: Stage) -> str:
    """Returns the path of the library, which is compiled when it is first needed."""
    path = stage.material.folder / "clock.so"
    if not path.exists():
        source = path.with_suffix(".c")
        source.write_text(_SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(path), str(source), "-ldl"], check=True, timeout=60)
    return str(path)


def _of_the_day() -> Iterator[Case]:
    """The clock that tells the date is wrong, or is set again and again: no result depends on it."""
    jumps: dict[str, tuple[int, str | None]] = {
        "stands in 1970": (-56 * _YEAR, None),
        "stands in 2120": (94 * _YEAR, None),
        "stands in 2200": (174 * _YEAR, None),
        "jumps by an hour": (3600, "0.3"),
        "jumps back by a day": (-_DAY, "0.2"),
        "jumps by 30 years": (30 * _YEAR, "0.05"),
    }
    model = ("--checkpoint", "run/checkpoints/last.pt", *TRANSLATED)
    commands: dict[str, Sequence[str]] = {
        "submit": _SUBMIT,
        "submit in a budget": ("submit", "--data", "data", "--run", "run", *TINY, "--budget", "40s", "--score", "no"),
        "translate": ("translate", *model, "--input", "photos", "--output", "out"),
        "evaluate": ("evaluate", "--generated", "generated", "--reference", "paintings", *SCORED, "--json", "n.json"),
        "export": ("export", "--checkpoint", "run/checkpoints/last.pt", "--safetensors", "again.safetensors"),
        "kernel": ("kernel", "build", "--folder", "built"),
        "doctor": ("doctor", "--budget", "1h"),
    }
    for command, words in commands.items():
        for name, (by, every) in jumps.items():
            if command == "submit in a budget" and "jumps" not in name:
                continue

            def play(
                stage: Stage,
                command: str = command,
                words: Sequence[str] = words,
                by: int = by,
                every: str | None = every,
            ) -> None:
                stage.needs("data", "photos", "generated", "paintings", "undisturbed")
                if command in ("translate", "export"):
                    stage.needs("run")
                if command == "evaluate":
                    stage.needs("weights.pth", "score.json")
                told = {"LD_PRELOAD": _library(stage), "JUMP_BY": str(by), "JUMP_EVERY": every}
                codes = {"doctor": {0, 1}, "submit in a budget": {0, 2}}.get(
                    command, {0}
                )  # 2: a busy machine has no time
                outcome = stage.run(*words, codes=codes, environment=told, fresh=True, limit=100)
                if outcome.code == 0:
                    _right(stage, command)

            libraries = ("safetensors",) if command == "export" else ()
            yield Case(f"clock/{command}: the date {name}", play, libraries=libraries)


def _right(stage: Stage, command: str) -> None:
    if command.startswith("submit"):
        found = stage.archive("run/images.zip", PAINTED)
        same = found == stage.path("undisturbed/images.zip").read_bytes()
        stage.expect(same or command != "submit", "a clock that jumps made other pixels")
    if command == "translate":
        stage.expect(stage.path("out/0.jpg").is_file(), "no translation")
    if command == "evaluate":
        same = stage.path("n.json").read_text() == stage.path("score.json").read_text()
        stage.expect(same, "a clock that jumps made another score")
        kept = list((stage.home / ".cache" / "monet" / "features").glob("*.npz"))
        stage.expect(kept, "no features are kept")


def _steady() -> Iterator[Case]:
    """The clock that counts on leaps ahead, as after a machine was asleep: what is painted is whole, and late."""
    for after, by in ((0.5, 20.0), (4.0, 20.0), (0.5, 3600.0), (4.0, 3600.0), (8.0, 30.0 * _DAY)):

        def play(stage: Stage, after: float = after, by: float = by) -> None:
            stage.needs("data")
            words = ("submit", "--data", "data", "--run", "run", *TINY, "--budget", "40s", "--score", "no")
            outcome = stage.run(*words, codes={0, 2}, leap=(after, by), limit=100)
            if outcome.code == 2:  # it came before the training
                stage.expect("leaves no time to train" in outcome.err, "it is refused for another reason")
                return
            stage.archive("run/images.zip", PAINTED)
            stage.expect("late" in outcome.out + outcome.err or by < 40, "it does not say that it is late")

        yield Case(f"clock/submit: the clock leaps by {by:,.0f} s after {after:.1f} s", play)


def _files() -> Iterator[Case]:
    """Files that are older than all zips, or from times to come."""
    times = {"1901": -2_145_916_800, "1970": 0, "2107": 4_323_369_600, "2200": 7_258_118_400, "2446": 15_000_000_000}
    model = ("--checkpoint", "run/checkpoints/last.pt", *TRANSLATED)
    commands: dict[str, Sequence[str]] = {
        "translate": ("translate", *model, "--input", "photos", "--output", "out"),
        "generate": ("generate", *model, "--photos", "photos", "--zip", "x.zip"),
        "submit, resumed": (*_RESUME, "--training.epochs", "3", "--score", "no", "--resume"),
        "kernel": ("kernel", "build", "--folder", "built"),
    }
    for command, words in commands.items():
        for year, seconds in times.items():

            def play(stage: Stage, words: Sequence[str] = words, seconds: int = seconds) -> None:
                stage.needs("data", "photos", "run")
                for path in sorted(stage.place.rglob("*")):
                    os.utime(path, (seconds, seconds))
                stage.run(*words, codes={0}, may_change=("run/*",))
                if "--output" in words:
                    again = stage.run(*words, codes={0})
                    stage.expect("wrote 0 into" in again.out, "it translates again what is done")

            quick = (command, year) == ("generate", "1901")
            yield Case(f"clock/{command}: files from {year}", play, quick=quick)
