"""Cut a domain from videos: images without what teaches nothing, in a folder that --data takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines._command import command_parser, run_command
from pipelines._numbers import number, whole_number
from pipelines._processes import leave


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet import api
    from pipelines._display import Bars

    parser = command_parser("frames", __doc__ or "")
    parser.add_argument("--video", type=Path, required=True, nargs="+", metavar="F", help="one or more videos")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="a data set: trainB/ and testB/ are made in it (trainA/ and testA/ with --domain a)",
    )
    parser.add_argument(
        "--every", metavar="D", help="a frame each 1s, 0.5s, 2m, …; without this and --max one from each scene"
    )
    parser.add_argument("--max", type=whole_number, metavar="N", help="at most so many, evenly spaced over all videos")
    parser.add_argument("--domain", choices=["a", "b"], default="b", help="(default: b, what is translated to)")
    parser.add_argument(
        "--test", type=number, default=0.1, metavar="S", help="share for tests, in whole scenes (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    found = api.frames(
        options.video,
        options.output,
        every=options.every,
        most=options.max,
        domain=options.domain,
        test=options.test,
        display=Bars(),
    )
    for look in found.videos:
        left = ", ".join(f"{count} {why}" for why, count in look.left_out.items() if count) or "none"
        print(f"{look.path}: {look.frames:,} frames, {len(look.chosen):,} taken; left out: {left}")
        if look.damage:
            print(f"{look.path}: {look.damage}")
    for item in found.bad:
        print(f"could not be read: {item.path} ({item.reason})")
    print(f"wrote {found.train:,} images to learn from and {found.test:,} for tests into {options.output}")
    return 1 if found.bad else 0


if __name__ == "__main__":
    leave(run_command(main))
