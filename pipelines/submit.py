"""Train, paint every photo, validate, score: from a folder of photos to a valid images.zip."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines._command import run_command
from pipelines._processes import leave
from pipelines._scoring import add_scoring_options, score_options

if TYPE_CHECKING:
    from monet.run.submit import Submission


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet import api
    from pipelines._run import read_request, run_parser

    parser = run_parser("submit", __doc__ or "")
    parser.add_argument(
        "--zip", type=Path, metavar="FILE", help="the archive (default: images.zip in the run's folder)"
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave photos out of the archive that cannot be read")
    parser.add_argument(
        "--paint-with",
        metavar="best|F",
        help="with --resume: no more training; paint with this checkpoint of the run, or with the best one that was "
        "scored (python -m pipelines.compare)",
    )
    parser.add_argument(
        "--score",
        choices=["auto", "yes", "no"],
        default="auto",
        help="score the archive against the paintings; auto: where the Inception weights are at hand and it takes at "
        "most a tenth of the budget; yes: in any case, downloading the weights (default: auto)",
    )
    add_scoring_options(parser)
    options, asked, context = read_request(parser, arguments)
    submission = api.submit(
        **asked,
        zip=options.zip,
        skip_bad=options.skip_bad,
        paint_with=options.paint_with,
        score=options.score,
        score_options=score_options(options),
        context=context,
        on_end=_report,
    )
    return 0 if submission is None or _is_fine(submission) else 1


def _report(submission: Submission) -> None:
    """Prints the result."""
    from monet.clock import format_duration
    from monet.run.submit import GENERATED
    from monet.scoring.score import REMARKS

    print("\n".join(submission.summary))
    if submission.evaluation:
        print("\n".join(f"note: {line}" for line in REMARKS))
    if submission.late:
        print(f"late by {format_duration(submission.late)}")
    folder = submission.folder
    pages = [str(page) for page in (folder.report, folder.samples / GENERATED) if page.exists()]
    if pages:
        print(f"look at {' and '.join(pages)}")
    if not _is_fine(submission):
        assert submission.validation
        first, *others = submission.validation.problems
        wrong = f"error: {submission.path} is not valid: {first.name} {first.message}".replace(":  ", ": ")
        more = f" (and {len(others)} more)" if others else ""
        print(f"{wrong}{more}; it and {folder.last} are kept", file=sys.stderr)


def _is_fine(submission: Submission) -> bool:
    """Returns whether the archive is valid, or could not be checked."""
    return submission.validation is None or submission.validation.valid


if __name__ == "__main__":
    leave(run_command(main, several=True))
