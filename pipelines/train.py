"""Train a translator; `pipelines.generate` paints with its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines._command import run_command
from pipelines._processes import leave

if TYPE_CHECKING:
    from monet.api import TrainingResult


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet import api
    from pipelines._run import read_request, run_parser

    _, asked, context = read_request(run_parser("train", __doc__ or ""), arguments)
    api.train(**asked, context=context, on_end=_report)
    return 0


def _report(result: TrainingResult) -> None:
    """Prints the result."""
    from monet.clock import format_duration

    outcome, last = result.outcome, result.folder.last
    print(f"trained on {outcome.pairs:,} pairs in {format_duration(outcome.seconds)} ({outcome.decay})")
    print(f"wrote {last}: python -m pipelines.translate --checkpoint {last} --input PHOTOS --output PAINTED")


if __name__ == "__main__":
    leave(run_command(main, several=True))
