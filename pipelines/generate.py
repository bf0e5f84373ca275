"""Paint a folder of photos into an archive with a trained checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines._command import command_parser, run_command
from pipelines._network import add_checkpoint_option, add_precision_option, add_weights_and_device_options
from pipelines._numbers import whole_number
from pipelines._processes import leave


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet import api
    from monet.config import GenerationConfig
    from pipelines._display import Bars

    parser = command_parser("generate", __doc__ or "")
    defaults = GenerationConfig()
    add_checkpoint_option(parser)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="the folder of photos, any size")
    parser.add_argument("--zip", type=Path, required=True, metavar="FILE", help="the archive: one 256×256 JPEG a photo")
    parser.add_argument(
        "--batch-size",
        type=whole_number,
        default=defaults.batch_size,
        metavar="N",
        help="photos that go through the network together (default: %(default)s)",
    )
    parser.add_argument(
        "--quality",
        type=whole_number,
        default=defaults.quality,
        metavar="Q",
        help="JPEG quality, 1 to 100 (default: %(default)s)",
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave photos out that cannot be read, and list them")
    add_weights_and_device_options(parser)
    add_precision_option(parser)
    options = parser.parse_args(arguments)
    painted = api.paint(
        options.checkpoint,
        options.photos,
        options.zip,
        batch_size=options.batch_size,
        quality=options.quality,
        weights=options.weights,
        skip_bad=options.skip_bad,
        device=options.device,
        precision=options.precision,
        display=Bars(),
    )
    for bad in painted.skipped:
        print(f"left out: {bad.path} ({bad.reason})")
    print(f"wrote {options.zip}: {painted.num_images:,} images")
    return 0


if __name__ == "__main__":
    leave(run_command(main))
