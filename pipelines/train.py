"""Train a translator; `pipelines.generate` paints with its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines._command import run_command
from pipelines._processes import leave

if TYPE_CHECKING:
    from monet.training.trainer import Outcome
    from monet.workflow.job import Job


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet.workflow.train import train
    from pipelines._run import make_job, run_parser

    job, _ = make_job(run_parser("train", __doc__ or ""), arguments, paint=False)
    with job.tracking.until_the_end(lambda: job.left):
        outcome = train(job).outcome
        if job.group.rank == 0:
            _report(job, outcome)
    return 0


def _report(job: Job, outcome: Outcome) -> None:
    """Says what came of it."""
    from monet.clock import format_duration

    print(f"trained on {outcome.pairs:,} pairs in {format_duration(outcome.seconds)} ({outcome.decay})")
    print(f"wrote {job.folder.last}: paint with python -m pipelines.generate --checkpoint {job.folder.last} …")


if __name__ == "__main__":
    leave(run_command(main, several=True))
