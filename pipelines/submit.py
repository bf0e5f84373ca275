"""Train, paint every photo, validate: from a folder of photos to a valid images.zip."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines._command import run_command

if TYPE_CHECKING:
    from monet.workflow.job import Job
    from monet.workflow.submit import Submission


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet.workflow.submit import submit
    from pipelines._run import make_job, run_parser

    parser = run_parser("submit", __doc__ or "")
    parser.add_argument(
        "--zip", type=Path, metavar="FILE", help="the archive (default: images.zip in the run's folder)"
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave photos out of the archive that cannot be read")
    job, options = make_job(parser, arguments, paint=True)
    submission = submit(job, options.zip or job.folder.archive)
    print(_summary(job, submission))
    if not submission.report.valid:
        first = submission.report.problems[0]
        more = len(submission.report.problems) - 1
        print(
            f"error: {submission.path} is not valid: {first.name} {first.message}".replace(":  ", ": ")
            + (f" (and {more} more)" if more else "")
            + f"; it and {job.folder.last} are kept",
            file=sys.stderr,
        )
        return 1
    return 0


def _summary(job: Job, submission: Submission) -> str:
    from monet.clock import format_duration

    outcome = submission.outcome
    decay = "learning rate decayed to 0" if outcome.landed else "decay unfinished: --resume goes on"
    lines = [
        f"trained on {outcome.pairs:,} pairs in {format_duration(outcome.seconds)} ({decay})",
        f"wrote {submission.path}: {submission.num_images:,} images"
        + (f", valid by the {job.layout.rules} rules" if submission.report.valid else ""),
    ]
    if submission.skipped:
        lines.append(f"left out, because they cannot be read: {', '.join(str(bad.path) for bad in submission.skipped)}")
    if submission.late:
        lines.append(f"late by {format_duration(submission.late)}")
    lines.append(f"look at {job.folder.samples / 'generated.png'} and {job.folder.curves}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_command(main))
