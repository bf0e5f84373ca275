"""FID, MiFID, memorization distance and KID of a folder or an archive of images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines._command import command_parser, place, run_command
from pipelines._engine import add_engine_options, engine_name, exit_code, resources_of
from pipelines._processes import leave
from pipelines._scoring import add_scoring_options, score_options

if TYPE_CHECKING:
    from monet.scoring.bootstrap import Interval
    from monet.scoring.evaluation import Evaluation
    from monet.shards.score import ScoredShards


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    parser = command_parser("evaluate", __doc__ or "")
    parser.add_argument(
        "--generated",
        type=place,
        required=True,
        metavar="ZIP|DIR",
        help="the images that are scored; with --engine a folder, shards (.parquet, .tar) or an address",
    )
    parser.add_argument(
        "--reference", type=Path, required=True, metavar="ZIP|DIR", help="the images that they are compared with"
    )
    add_scoring_options(parser)
    add_engine_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args(arguments)
    return _evaluate(options)


def _evaluate(options: argparse.Namespace) -> int:
    import dataclasses

    from monet import api
    from monet.files import is_json_with, require_output, write_json
    from monet.shards.store import is_remote
    from pipelines._display import Bars

    asked, engine = score_options(options), engine_name(options, options.generated)
    if options.json:
        inputs = [options.reference, *asked.inputs]
        if not is_remote(options.generated):
            inputs.append(Path(options.generated))
        require_output(options.json, "scores", is_json_with("fid"), inputs)
    context = dataclasses.replace(api.default_context(), display=Bars())
    if engine:
        scored = api.evaluate_shards(
            options.generated,
            options.reference,
            engine=engine,  # type: ignore[arg-type]
            ray_address=options.ray_address,
            resources=resources_of(options),
            shard_size=512 if options.shard_size is None else options.shard_size,
            options=asked,
            context=context,
        )
        _print(scored, scored.fid, scored.mifid)
        for item in scored.lost:
            print(f"nothing could be read of {item}")
        for item in scored.bad:
            print(f"could not be read: {item}")
        numbers, code = scored.numbers(), exit_code(options, scored.lost, scored.left_out)
    else:
        found = api.evaluate(options.generated, options.reference, options=asked, context=context)
        _print(found, found.fid.interval(), found.mifid.interval())
        numbers, code = found.numbers(), 0
    if options.json:
        write_json(options.json, numbers)
        print(f"wrote {options.json}")
    return code


def _print(found: Evaluation | ScoredShards, fid: Interval, mifid: Interval) -> None:
    from monet.scoring.score import CAVEAT

    score = found.score
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    counted = "itself" if found.memorized else "1"
    print(f"MiFID                  {score.mifid:.5f}  (95 %: {mifid.low:.4g} to {mifid.high:.4g})")
    print(f"FID                    {score.fid:.5f}  (95 %: {fid.low:.4g} to {fid.high:.4g})")
    print(
        f"memorization distance  {score.memorization_distance:.6f}  (counts as {counted}: epsilon is {score.epsilon:g})"
    )
    if score.kid_subset_size:
        print(
            f"KID                    {score.kid_mean:.6f} ± {score.kid_std:.6f}  (subsets of {score.kid_subset_size})"
        )
    compared = f"{score.num_generated:,} images against {score.num_reference:,}, layer {found.feature_layer}"
    print(f"{compared}; lower is better; {CAVEAT}")


if __name__ == "__main__":
    leave(run_command(main))
