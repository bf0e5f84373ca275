"""Translate pictures of any size, and videos, with a trained checkpoint, in either direction."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from monet.errors import InputError
from pipelines._command import command_parser, place, run_command
from pipelines._engine import add_engine_options, engine_name, exit_code, resources_of
from pipelines._network import add_checkpoint_option, add_precision_option, add_weights_and_device_options
from pipelines._numbers import number, whole_number
from pipelines._processes import leave

if TYPE_CHECKING:
    from monet.inference.translate import Translated
    from monet.shards.translate import TranslatedShards


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet import api
    from monet.generation.translator import TILE
    from monet.inference.translate import TranslationOptions
    from pipelines._display import Bars

    parser = command_parser("translate", __doc__ or "")
    add_checkpoint_option(parser)
    parser.add_argument(
        "--input",
        type=place,
        required=True,
        metavar="FILE|DIR|PATTERN",
        help="a picture, a video, a folder (and all below it), or a pattern in quotes, such as 'photos/**/*.jpg'; with "
        "--engine also shards (.parquet, .tar) and addresses",
    )
    parser.add_argument(
        "--output",
        type=place,
        required=True,
        metavar="DIR|FILE",
        help="a folder, where everything keeps its place and name; for a single file also a new file's name; with "
        "--engine a folder or an address, where a result is called after its shard and the settings",
    )
    parser.add_argument(
        "--direction",
        choices=["ab", "ba"],
        help="ab: from the first domain to the second (photo to painting); ba: back (default: ab; where the folder "
        "holds A_type/, trainA/ or testA/, and the same of B: ab for those of A, ba for those of B, and nothing else)",
    )
    parser.add_argument(
        "--format",
        choices=["keep", "jpg", "png", "webp", "tif", "bmp"],
        default="keep",
        help="of the pictures that are written (default: keep, or png for those that only can be read)",
    )
    parser.add_argument(
        "--quality", type=whole_number, default=95, metavar="Q", help="JPEG and WebP, 1 to 100 (default: %(default)s)"
    )
    parser.add_argument(
        "--tile",
        type=whole_number,
        default=TILE,
        metavar="N",
        help="pixels: a picture larger than a square of this side goes in tiles of it; less takes less memory "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--fps",
        type=number,
        metavar="N",
        help="frames a second of a video that are translated, at most; the others are left out (default: all)",
    )
    parser.add_argument(
        "--smoothing",
        type=number,
        default=TranslationOptions.smoothing,
        metavar="S",
        help="share of the statistics of normalisation that a frame of a video has from those before it in its scene, "
        "0 to below 1: less flicker with more (default: %(default)s)",
    )
    add_weights_and_device_options(parser)
    add_precision_option(parser, "auto; with --engine fp32")
    add_engine_options(parser)
    many = parser.add_argument_group("translating with an engine")
    many.add_argument(
        "--shards",
        choices=["keep", "parquet", "tar", "folder"],
        help="kind of the results (default: keep, that of the input)",
    )
    many.add_argument(
        "--batch-size",
        type=whole_number,
        metavar="N",
        help="pictures of one size that go through the network together (default: 1 on a CPU, 16 elsewhere)",
    )
    options = parser.parse_args(arguments)
    if engine := engine_name(options, options.input, options.output):
        return _with_engine(engine, options)
    for name in ("shards", "batch_size"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} belongs to --engine: give --engine local or ray")
    result = api.translate(
        options.checkpoint,
        options.input,
        options.output,
        direction=options.direction,
        format=options.format,
        quality=options.quality,
        tile=options.tile,
        fps=options.fps,
        smoothing=options.smoothing,
        weights=options.weights,
        device=options.device,
        precision=options.precision or "auto",
        display=Bars(),
    )
    _tell(result, options.output)
    return 0 if result.complete else 1


def _with_engine(engine: str, options: argparse.Namespace) -> int:
    """Translates shards."""
    from monet import api
    from pipelines._display import Bars

    for name in ("fps", "smoothing"):
        if getattr(options, name):
            raise InputError(f"--{name} is for videos: they go without --engine")
    if options.precision == "auto":
        raise InputError("--precision auto could differ from machine to machine: give fp32, bf16 or fp16 with --engine")
    result = api.translate_shards(
        options.checkpoint,
        options.input,
        options.output,
        engine=engine,  # type: ignore[arg-type]
        ray_address=options.ray_address,
        resources=resources_of(options),
        direction=options.direction,
        shards=None if options.shards in (None, "keep") else options.shards,
        shard_size=512 if options.shard_size is None else options.shard_size,
        format=options.format,
        quality=options.quality,
        batch_size=options.batch_size,
        tile=options.tile,
        weights=options.weights,
        precision=options.precision or "fp32",
        display=Bars(),
    )
    _tell(result, options.output)
    return exit_code(options, result.lost, result.images - result.painted)


def _tell(result: Translated | TranslatedShards, output: str) -> None:
    """Prints what came of it."""
    for line in result.lines(output):
        print(line)


if __name__ == "__main__":
    leave(run_command(main))
