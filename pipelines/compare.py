"""Score the checkpoints of one or more runs on the same photos: which one to submit, and how sure that is."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines._command import command_parser, run_command
from pipelines._numbers import whole_number
from pipelines._processes import leave
from pipelines._scoring import add_scoring_options, make_scorer, scoring_inputs

if TYPE_CHECKING:
    from monet.scoring.evaluation import Evaluation
    from monet.workflow.candidates import Candidate
    from monet.workflow.compare import Comparison, RankedCheckpoint


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    parser = command_parser("compare", __doc__ or "")
    parser.add_argument(
        "--run",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="DIR",
        help="runs whose checkpoints are compared",
    )
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="the folder of photos to paint")
    parser.add_argument(
        "--reference", type=Path, required=True, metavar="ZIP|DIR", help="the paintings that they are compared with"
    )
    parser.add_argument(
        "--sample", type=whole_number, metavar="N", help="so many photos, the same for every checkpoint (default: all)"
    )
    parser.add_argument(
        "--seed", type=whole_number, default=0, metavar="S", help="of the choice of the sample (default: %(default)s)"
    )
    parser.add_argument(
        "--weights", choices=["ema", "raw"], default="ema", help="averaged weights where there are some (default: ema)"
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave photos out that cannot be read")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    add_scoring_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there, too")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="the page (default: report.html in the first run's folder)"
    )
    return _compare(parser.parse_args(arguments))


def _compare(options: argparse.Namespace) -> int:
    from monet.data.layout import identity_of, list_images
    from monet.data.store import paintable
    from monet.device import Precision, choose_device
    from monet.errors import InputError
    from monet.files import write_json
    from monet.generation.painter import unreadable
    from monet.workflow.candidates import find_all
    from monet.workflow.compare import choose_photos, compare
    from monet.workflow.report import write_comparison
    from monet.workflow.run_folder import RunFolder
    from monet.workflow.scores import keep_score
    from monet.workflow.verdict import as_dict, remarks, verdict
    from pipelines._display import Bars

    report = options.report or RunFolder(options.run[0]).report
    _require_places(options, report)
    display, device = Bars(), choose_device(options.device)
    candidates = find_all(options.run, options.weights)
    found = list_images(options.photos)
    chosen = choose_photos(found, options.sample, options.seed)
    scorer = make_scorer(options, options.reference, display, device=device)
    photos = paintable(chosen, unreadable(chosen), options.skip_bad)
    if len(photos) < 2:
        raise InputError(f"{options.photos} holds {len(photos)} photo that can be painted: a score needs at least two")
    basis = {"photos": identity_of(photos), **scorer.basis}

    def keep(candidate: Candidate, precision: Precision, evaluation: Evaluation) -> None:
        keep_score(candidate, options.weights, precision, basis, evaluation)

    comparison = compare(
        candidates,
        photos,
        scorer,
        found=len(found),
        weights=options.weights,
        device=device,
        clock=time.monotonic,
        display=display,
        on_scored=keep,
    )
    for warning in comparison.leader.evaluation.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(_table(comparison))
    print("\n".join(verdict(comparison)))
    print("\n".join(f"note: {line}" for line in remarks()))
    if options.json:
        write_json(options.json, as_dict(comparison))
    write_comparison(comparison, scorer, report)
    print(f"wrote {report}" + (f" and {options.json}" if options.json else ""))
    print(f"paint with it: {_how(comparison)}")
    return 0


def _require_places(options: argparse.Namespace, report: Path) -> None:
    """Checks that the report and the numbers take nobody's place.

    Raises:
        InputError: they do.
    """
    from monet.errors import InputError
    from monet.files import is_json_with, require_output, require_writable
    from monet.reporting.report import is_report
    from monet.workflow.run_folder import RunFolder

    runs = [RunFolder(run) for run in options.run]
    inputs = [options.photos, options.reference, *scoring_inputs(options)]
    if options.report:
        require_output(report, "a report of monet", is_report, inputs)
    require_writable(report)
    for run in runs:
        run.require_apart(report, run.report)
    if options.json:
        require_output(options.json, "a comparison of monet", is_json_with("recommended"), inputs)
        for run in runs:
            run.require_apart(options.json)
        if os.path.realpath(options.json) == os.path.realpath(report):
            raise InputError(f"--json and the report are both {options.json}: give two names")


def _how(comparison: Comparison) -> str:
    best = comparison.leader.candidate
    assert best
    if comparison.weights == "raw":
        return f"python -m pipelines.generate --checkpoint {best.path} --weights raw --photos DIR --zip FILE"
    return f"python -m pipelines.submit --data DIR --run {best.folder.path} --resume --paint-with {best.path.name}"


def _table(comparison: Comparison) -> str:
    lines: list[tuple[str, ...]] = [
        ("", "checkpoint", "epochs", "MiFID", "95 %", "behind the best", "FID", "memorization")
    ]
    lines += [
        _line(str(rank), contender, "tied" if contender.tied else "")
        for rank, contender in enumerate(comparison.contenders, 1)
    ]
    lines.append(_line("", comparison.unpainted, ""))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column == 1 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _line(rank: str, contender: RankedCheckpoint, tie: str) -> tuple[str, ...]:
    from monet.reporting.report import figure, span

    score, candidate = contender.evaluation.score, contender.candidate
    behind = "" if rank == "1" else f"{figure(contender.behind.value)} ({tie or span(contender.behind)})"
    return (
        rank,
        contender.name,
        f"{candidate.epochs:.3g}" if candidate else "",
        figure(score.mifid),
        span(contender.evaluation.mifid.interval()),
        behind,
        figure(score.fid),
        figure(score.memorization_distance),
    )


if __name__ == "__main__":
    leave(run_command(main))
