"""FID, MiFID, memorization distance and KID of a folder or an archive of images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines._command import command_parser, run_command
from pipelines._processes import leave
from pipelines._scoring import add_scoring_options, score_options


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    parser = command_parser("evaluate", __doc__ or "")
    parser.add_argument("--generated", type=Path, required=True, metavar="ZIP|DIR", help="the images that are scored")
    parser.add_argument(
        "--reference", type=Path, required=True, metavar="ZIP|DIR", help="the images that they are compared with"
    )
    add_scoring_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args(arguments)
    return _evaluate(options)


def _evaluate(options: argparse.Namespace) -> int:
    import dataclasses

    from monet import api
    from monet.files import is_json_with, require_output, write_json
    from monet.scoring.score import CAVEAT
    from pipelines._display import Bars

    asked = score_options(options)
    if options.json:
        inputs = [options.generated, options.reference, *asked.inputs]
        require_output(options.json, "scores", is_json_with("fid"), inputs)
    context = dataclasses.replace(api.default_context(), display=Bars())
    found = api.evaluate(options.generated, options.reference, options=asked, context=context)
    score, fid, mifid = found.score, found.fid.interval(), found.mifid.interval()
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    counted = "itself" if found.memorized else "1"
    print(f"MiFID                  {score.mifid:.5f}  (95 %: {mifid.low:.4g} to {mifid.high:.4g})")
    print(f"FID                    {score.fid:.5f}  (95 %: {fid.low:.4g} to {fid.high:.4g})")
    print(
        f"memorization distance  {score.memorization_distance:.6f}  (counts as {counted}: epsilon is {score.epsilon:g})"
    )
    print(f"KID                    {score.kid_mean:.6f} ± {score.kid_std:.6f}  (subsets of {score.kid_subset_size})")
    compared = f"{score.num_generated:,} images against {score.num_reference:,}, layer {found.feature_layer}"
    print(f"{compared}; lower is better; {CAVEAT}")
    if options.json:
        write_json(options.json, found.numbers())
        print(f"wrote {options.json}")
    return 0


if __name__ == "__main__":
    leave(run_command(main))
