"""Train, paint every photo, validate, score: from a folder of photos to a valid images.zip."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines._command import run_command
from pipelines._processes import leave
from pipelines._scoring import add_scoring_options, find_weights, make_scorer, scoring_inputs

if TYPE_CHECKING:
    from monet.workflow.candidates import Candidate
    from monet.workflow.job import Job
    from monet.workflow.scoring import Scoring
    from monet.workflow.submit import Submission


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet.workflow.submit import assist, submit
    from pipelines._run import make_job, run_parser

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
    job, options = make_job(parser, arguments, paint=True)
    paint_with = job.group.broadcast_object(lambda: _paint_with(options, job))
    path = options.zip or job.folder.archive
    if job.group.rank:
        assist(job, path, paint_with)
        return 0
    if paint_with and "budget" not in job.explicit:  # the one that the run was trained with says nothing here
        job = dataclasses.replace(job, config=dataclasses.replace(job.config, budget=None))
    with job.tracking.until_the_end(lambda: job.left):
        return _report(job, submit(job, path, _scoring(options, job), paint_with, scoring_inputs(options)))


def _report(job: Job, submission: Submission) -> int:
    """Says what came of it; returns the exit code."""
    from monet.clock import format_duration
    from monet.workflow.submit import GENERATED, summary
    from monet.workflow.verdict import remarks

    print("\n".join(summary(submission, job.layout.rules)))
    if submission.evaluation:
        print("\n".join(f"note: {line}" for line in remarks()))
    if submission.late:
        print(f"late by {format_duration(submission.late)}")
    pages = [str(page) for page in (job.folder.report, job.folder.samples / GENERATED) if page.exists()]
    if pages:
        print(f"look at {' and '.join(pages)}")
    if submission.report and not submission.report.valid:
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


def _scoring(options: argparse.Namespace, job: Job) -> Scoring:
    """How the archive is to be scored. Released weights that cannot be had are no failure; what was named must do."""
    from monet.device import choose_device
    from monet.scoring.weights import FILE_NAME, NoWeights
    from monet.workflow.scoring import Scoring

    if options.score == "no":
        return Scoring(None, "not asked for (--score no)")
    try:
        weights = find_weights(options, download=options.score == "yes")
    except NoWeights as error:
        return Scoring(None, str(error))
    if weights is None:
        return Scoring(
            None,
            f"no Inception weights at hand: --score yes downloads them (96 MB), or name a copy of {FILE_NAME} with "
            "--inception-weights",
        )
    device = choose_device(job.config.training.device)
    scorer = make_scorer(options, job.layout.paintings[0].parent, job.display, weights, device)
    return Scoring(scorer, always=options.score == "yes")


def _paint_with(options: argparse.Namespace, job: Job) -> Candidate | None:
    """The checkpoint that is to paint, if one is asked for."""
    from monet.errors import InputError
    from monet.workflow.candidates import read_candidate
    from monet.workflow.scores import best_candidate

    if options.paint_with is None:
        return None
    if job.checkpoint is None:
        raise InputError(
            f"--paint-with needs a run that was trained: {job.folder.path} holds none; name one with --run"
        )
    if options.paint_with == "best":
        return best_candidate(job.folder)
    path = Path(options.paint_with)
    there = Path(os.path.realpath(path)).parent
    if path.parent != Path() and there != Path(os.path.realpath(job.folder.checkpoints)):
        raise InputError(
            f"{path} belongs to another run: paint with python -m pipelines.generate --checkpoint {path} …"
        )
    return read_candidate(job.folder, job.folder.checkpoints / path.name)


if __name__ == "__main__":
    leave(run_command(main, several=True))
