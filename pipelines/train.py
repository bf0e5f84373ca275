"""Train a translator; `pipelines.generate` paints with its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines._command import run_command
from pipelines._processes import leave


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet.clock import format_duration
    from monet.workflow.train import train
    from pipelines._run import make_job, run_parser

    job, _ = make_job(run_parser("train", __doc__ or ""), arguments, paint=False)
    outcome = train(job).outcome
    if job.group.rank:
        return 0
    decay = "learning rate decayed to 0" if outcome.landed else "decay unfinished: --resume goes on"
    print(f"trained on {outcome.pairs:,} pairs in {format_duration(outcome.seconds)} ({decay})")
    print(f"wrote {job.folder.last}: paint with python -m pipelines.generate --checkpoint {job.folder.last} …")
    return 0


if __name__ == "__main__":
    leave(run_command(main, several=True))
