"""A page in the browser: try models on your photos, watch runs, choose a checkpoint."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from monet.errors import InputError, MonetError
from pipelines._command import command_parser, run_command
from pipelines._network import add_precision_option, add_weights_and_device_options
from pipelines._numbers import whole_number
from pipelines._processes import leave
from pipelines._serving import add_limit_options, add_model_options, limits_of, models_of
from pipelines._signals import SIGNALS


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    parser = command_parser("studio", __doc__ or "")
    add_model_options(parser)
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="photos of which the page may paint archives (default: none)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=whole_number, default=7860, metavar="N", help="0 for any that is free (default: %(default)s)"
    )
    parser.add_argument(
        "--root-path", default="", metavar="PATH", help="where a reverse proxy shows the page, such as /studio"
    )
    parser.add_argument("--auth-file", type=Path, metavar="F", help="who may use the page, a line name:password each")
    parser.add_argument(
        "--waiting", type=whole_number, default=20, metavar="N", help="requests that may wait (default: %(default)s)"
    )
    add_limit_options(parser)
    add_weights_and_device_options(parser)
    add_precision_option(parser)
    options = parser.parse_args(arguments)
    SIGNALS.begin_run()  # a signal in the middle of an import has to wait: the folder is removed, whatever comes
    with tempfile.TemporaryDirectory(prefix="monet-studio-", ignore_cleanup_errors=True) as folder:
        _configure_gradio(folder)
        _serve(options, Path(folder))
    return 0


def _configure_gradio(folder: str) -> None:
    """Tells gradio, which reads its environment when it is imported, to keep to itself."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(Path(folder) / "gradio")
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def _serve(options: argparse.Namespace, folder: Path) -> None:
    """Shows the page until a signal comes.

    Raises:
        InputError: a model, a run, the accounts or the address cannot be used.
        MonetError: gradio is not installed.
    """
    from monet.run_folder.folder import RunFolder

    try:
        from monet.serving.studio.page import build_page, draw_examples
        from monet.serving.studio.server import Place, read_accounts, serve
        from monet.serving.studio.studio import Studio
    except ImportError as error:
        raise MonetError(f"the studio needs gradio ({error}): pip install 'gradio>=6.31'") from error
    limits = limits_of(options)
    studio = Studio(
        models=models_of(options),
        limits=limits,
        runs=tuple(RunFolder(run) for run in options.run),
        photos=options.photos,
        clock=time.time,
        work=folder / "painted",
        examples=draw_examples(folder / "examples"),
    )
    if options.photos is not None:
        _require_photos(options.photos)
    place = Place(
        host=options.host,
        port=options.port,
        root_path=options.root_path.rstrip("/"),
        accounts=read_accounts(options.auth_file) if options.auth_file else None,
    )
    page = build_page(studio, waiting=options.waiting)
    serve(page, place, most_bytes=limits.bytes, on_ready=lambda address: print(f"studio at {address}", flush=True))


def _require_photos(folder: Path) -> None:
    """Checks a folder of photos now, and not when somebody asks for an archive.

    Raises:
        InputError: it is none.
    """
    from monet.data.decode import UnreadableImage, read_size
    from monet.data.layout import list_images

    first = list_images(folder)[0]
    try:
        read_size(first)
    except UnreadableImage as error:
        raise InputError(f"--photos {folder} is no folder of photos: {first.name} is {error}") from error


if __name__ == "__main__":
    leave(run_command(main))
