"""Score the checkpoints of one or more runs on the same photos: which one to submit, and how sure that is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines._command import command_parser, run_command
from pipelines._network import add_weights_and_device_options
from pipelines._numbers import whole_number
from pipelines._processes import leave
from pipelines._scoring import add_scoring_options, score_options

if TYPE_CHECKING:
    from monet.ranking.compare import Comparison, RankedCheckpoint


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
    parser.add_argument("--skip-bad", action="store_true", help="leave photos out that cannot be read")
    add_weights_and_device_options(parser)
    add_scoring_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there, too")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="the page (default: report.html in the first run's folder)"
    )
    return _compare(parser.parse_args(arguments))


def _compare(options: argparse.Namespace) -> int:
    import dataclasses

    from monet import api
    from monet.run_folder.folder import RunFolder
    from pipelines._display import Bars

    report = options.report or RunFolder(options.run[0]).report
    comparison = api.compare(
        options.run,
        options.photos,
        options.reference,
        sample=options.sample,
        seed=options.seed,
        weights=options.weights,
        skip_bad=options.skip_bad,
        device=options.device,
        options=score_options(options),
        report=options.report,
        json_file=options.json,
        context=dataclasses.replace(api.default_context(), display=Bars()),
        on_end=_print,
    )
    print(f"wrote {report}" + (f" and {options.json}" if options.json else ""))
    print(f"paint with it: {_how(comparison)}")
    return 0


def _print(comparison: Comparison) -> None:
    """Prints the ranking, and how sure it is."""
    from monet.ranking.verdict import verdict
    from monet.scoring.score import REMARKS

    for warning in comparison.leader.evaluation.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(_table(comparison))
    print("\n".join(verdict(comparison)))
    print("\n".join(f"note: {line}" for line in REMARKS))


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
        _line(str(rank), checkpoint, "tied" if checkpoint.tied else "")
        for rank, checkpoint in enumerate(comparison.ranked, 1)
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


def _line(rank: str, checkpoint: RankedCheckpoint, tie: str) -> tuple[str, ...]:
    from monet.reporting.report import figure, span

    score, candidate = checkpoint.evaluation.score, checkpoint.candidate
    behind = "" if rank == "1" else f"{figure(checkpoint.behind.value)} ({tie or span(checkpoint.behind)})"
    return (
        rank,
        checkpoint.name,
        f"{candidate.epochs:.3g}" if candidate else "",
        figure(score.mifid),
        span(checkpoint.evaluation.mifid.interval()),
        behind,
        figure(score.fid),
        figure(score.memorization_distance),
    )


if __name__ == "__main__":
    leave(run_command(main))
