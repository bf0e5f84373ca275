"""Runs the campaign: `python -m tests.campaign [--only PATTERN] [--jobs 2] [--seed 0] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from queue import SimpleQueue

from tests.campaign.campaign import Result, play_all
from tests.campaign.cases import all_cases
from tests.campaign.stage import Case


def main() -> int:
    """Runs it; returns 1 where something was flagged."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="names, such as 'signals/*'")
    parser.add_argument("--quick", action="store_true", help="only those of the ordinary suite")
    parser.add_argument("--seed", type=int, default=0, help="of what is chosen at random (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes that play cases (default: 1)")
    parser.add_argument("--sample", type=int, metavar="N", help="at most so many of each class, chosen by the seed")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="the I-th of N parts of them (default: 1/1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every result there, a line each")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the folders of flagged cases there")
    parser.add_argument("--list", action="store_true", help="print the names, and play nothing")
    options = parser.parse_args()
    cases = [
        case
        for case in all_cases(options.seed)
        if any(case.name == pattern or fnmatch(case.name, pattern) for pattern in options.only)
        and (case.quick or not options.quick)
        and (os.geteuid() == 0 or not case.root)
    ]
    if not cases:
        parser.error(f"no case is called {' or '.join(options.only)}: --list shows the names")
    if options.sample:
        cases = _sample(cases, options.sample, options.seed)
    if not (match := re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", options.part)):
        parser.error(f"--part {options.part}: write it as 2/3, the second of three parts")
    part, parts = map(int, match.groups())
    cases = cases[part - 1 :: parts]
    if options.list:
        print("\n".join(case.name for case in cases))
        return 0
    results = _played(cases, options)
    print(f"seed {options.seed}")
    print(_table(results))
    return 1 if any(result.flags for result in results) else 0


def _sample(cases: Sequence[Case], most: int, seed: int) -> list[Case]:
    """At most so many cases of each class."""
    groups = dict.fromkeys(case.group for case in cases)
    chance = random.Random(seed)
    chosen: set[str] = set()
    for group in groups:
        names = [case.name for case in cases if case.group == group]
        chosen.update(names if len(names) <= most else chance.sample(names, most))
    return [case for case in cases if case.name in chosen]


def _played(cases: Sequence[Case], options: argparse.Namespace) -> list[Result]:
    """Plays the cases in as many processes as there are jobs; each starts from one that has computed nothing."""
    pipes = []
    for job in range(options.jobs):
        reader, writer = os.pipe()
        pipes.append(reader)
        if os.fork() == 0:
            os.close(reader)
            code = 1
            try:
                with open(writer, "w", buffering=1) as out:
                    for result in play_all(cases[job :: options.jobs], options.keep):
                        out.write(json.dumps(asdict(result)) + "\n")
                code = 0
            except Exception:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(writer)
    results = []
    for line in merged_lines(pipes):
        if options.json:
            with open(options.json, "a", encoding="utf-8") as file:
                file.write(line)
        results.append(Result(**json.loads(line)))
        for flag in results[-1].flags:
            print(f"{results[-1].name}: {flag}".encode(errors="replace").decode(), flush=True)
    for _ in range(options.jobs):
        os.wait()
    return results


def merged_lines(pipes: Sequence[int]) -> Iterator[str]:
    """Returns the lines of several pipes as they come: no process waits for another one to be read."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def read(pipe: int) -> None:
        with open(pipe) as file:
            for line in file:
                lines.put(line)
        lines.put(None)

    for pipe in pipes:
        threading.Thread(target=read, args=[pipe]).start()
    left = len(pipes)
    while left:
        if (line := lines.get()) is None:
            left -= 1
        else:
            yield line


def _table(results: Sequence[Result]) -> str:
    groups = list(dict.fromkeys(result.name.split("/")[0] for result in results))
    lines = [f"{'class':<14}{'cases':>7}{'passed':>8}{'flagged':>9}{'seconds':>9}"]
    for group in [*groups, "all"]:
        own = [result for result in results if group in ("all", result.name.split("/")[0])]
        flagged = sum(bool(result.flags) for result in own)
        seconds = sum(result.seconds for result in own)
        lines.append(f"{group:<14}{len(own):>7}{len(own) - flagged:>8}{flagged:>9}{seconds:>9.0f}")
    counts: Counter[str] = sum((Counter(result.counts) for result in results), Counter())
    if counts:
        lines.append(f"damaged files read: {', '.join(f'{count:,} {what}' for what, count in counts.items())}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
