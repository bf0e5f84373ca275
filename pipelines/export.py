"""Write a trained generator for other runtimes: ONNX, safetensors, a folder for a model hub, a page for the browser."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines._command import command_parser, place, run_command
from pipelines._network import add_checkpoint_option, add_weights_option
from pipelines._processes import leave


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    from monet import api
    from monet.exporting.made import VARIANTS
    from monet.exporting.page import DEFAULT_RUNTIME
    from pipelines._display import Bars

    parser = command_parser("export", __doc__ or "")
    add_checkpoint_option(parser)
    parser.add_argument(
        "--onnx", type=place, metavar="F", help="an ONNX file that takes images of any number, height and width"
    )
    parser.add_argument(
        "--safetensors",
        type=place,
        metavar="F",
        help="the generators and their settings, to be used instead of the checkpoint",
    )
    parser.add_argument(
        "--hub", type=place, metavar="DIR", help="a folder for a model hub: both files and a model card, README.md"
    )
    parser.add_argument(
        "--page",
        type=place,
        metavar="DIR",
        help="a folder with a page that translates pictures in the browser, without a server",
    )
    parser.add_argument(
        "--direction", choices=["ab", "ba"], default="ab", help="of ONNX files and the page (default: %(default)s)"
    )
    parser.add_argument(
        "--pixels",
        action="store_true",
        help="ONNX files take and give bytes, (B, H, W, 3) uint8 (default: (B, 3, H, W) float from −1 to 1)",
    )
    parser.add_argument("--fp16", action="store_true", help="also an ONNX file with weights of 16 bits")
    parser.add_argument(
        "--int8", action="store_true", help="also an ONNX file with convolutions of 8 bits, calibrated on --photos"
    )
    parser.add_argument(
        "--photos",
        type=place,
        metavar="DIR",
        help="images with which ONNX files are compared with PyTorch (default: drawn ones)",
    )
    parser.add_argument(
        "--runtime",
        type=place,
        default=str(DEFAULT_RUNTIME),
        metavar="DIR",
        help="the npm package onnxruntime-web, for --page (default: %(default)s)",
    )
    add_weights_option(parser)
    options = parser.parse_args(arguments)
    result = api.export(
        options.checkpoint,
        onnx=options.onnx,
        safetensors=options.safetensors,
        hub=options.hub,
        page=options.page,
        direction=options.direction,
        variants=[name for name in VARIANTS if getattr(options, name)],
        pixels=options.pixels,
        photos=options.photos,
        runtime=options.runtime,
        weights=options.weights,
        display=Bars(),
    )
    for line in result.lines():
        print(line)
    return 0


if __name__ == "__main__":
    leave(run_command(main))
