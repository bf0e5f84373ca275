"""The Kaggle kernel: build the notebook, run it here as Kaggle would, push it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines._command import command_parser, run_command
from pipelines._processes import leave

_ROOT = Path(__file__).parents[1]
_GRACE = 120
"""Seconds beyond its budget after which a notebook is stopped: Jupyter starts and ends in them."""
_FOLDER = _ROOT / "kaggle" if (_ROOT / "pyproject.toml").exists() else Path("kaggle")
"""That of the checkout; where monet is installed, one in the working folder."""
_PRIVATE = ("KAGGLE", "CLEARML", "WANDB", "HF_", "AWS_", "TORCH_HOME", "XDG_", "OMP_", "PYTHON")
"""Variables that Kaggle does not set."""


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    parser = command_parser("kernel", __doc__ or "")
    commands = parser.add_subparsers(required=True, metavar="build|check|push")
    for add in (_add_build, _add_check, _add_push):
        add(commands)
    options = parser.parse_args(arguments)
    return int(options.work(options))


def _add_build(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    build = commands.add_parser("build", help="write the notebooks and their metadata", allow_abbrev=False)
    build.add_argument("--folder", type=Path, default=_FOLDER, metavar="DIR", help="where they go (default: kaggle)")
    build.add_argument("--as-dataset", metavar="USER/SLUG", help="the software comes in this dataset, not in a cell")
    build.add_argument("--wheels-dataset", metavar="USER/SLUG", help="what the image lacks comes in this dataset")
    build.add_argument(
        "--internet",
        action=argparse.BooleanOptionalAction,
        help="whether the kernels may use the internet (default: all but the first, for ClearML and the scores)",
    )
    build.add_argument("--compare", action="store_true", help="write nothing; exit 1 where the files differ")
    build.add_argument(
        "--wheels", type=Path, metavar="DIR", help="download what Kaggle's image lacks into this folder, for a dataset"
    )
    build.set_defaults(work=_build)


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser("check", help="run the built notebook here as Kaggle would", allow_abbrev=False)
    check.add_argument("--folder", type=Path, default=_FOLDER, metavar="DIR", help="what was built (default: kaggle)")
    check.add_argument("--data", type=Path, required=True, metavar="DIR", help="the competition's folder")
    check.add_argument(
        "--mount",
        choices=["both", "competitions", "plain"],
        default="both",
        help="where the input tree has the data (default: both)",
    )
    check.add_argument("--recipe", default="quick-cpu", metavar="R", help="in place of its own (default: quick-cpu)")
    check.add_argument("--budget", default="6m", metavar="D", help="instead of 4h45m (default: 6m)")
    check.add_argument("--horizon", metavar="D", help="training time over several kernels")
    check.add_argument(
        "--setting",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="any option of submit, without its dashes: --setting training.epochs 3",
    )
    check.add_argument(
        "--input",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="another input, such as wheels or an earlier kernel's output",
    )
    check.add_argument(
        "--absent",
        nargs="*",
        default=["torch_fidelity", "clearml"],
        metavar="MODULE",
        help="what the image is to lack (default: torch_fidelity clearml)",
    )
    check.add_argument(
        "--output",
        type=Path,
        default=Path("kernel-check"),
        metavar="DIR",
        help="where the executed notebooks and their outputs stay (default: kernel-check)",
    )
    check.set_defaults(work=_check)


def _add_push(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    push = commands.add_parser("push", help="send the built kernel to Kaggle", allow_abbrev=False)
    push.add_argument("--folder", type=Path, default=_FOLDER, metavar="DIR", help="what was built (default: kaggle)")
    push.add_argument("--user", metavar="NAME", help="of Kaggle (default: that of the credentials, if they name one)")
    push.add_argument("--slug", metavar="NAME", help="the kernel's (default: as built)")
    push.add_argument(
        "--resume-from",
        "--goes-on-from",
        dest="resume_from",
        metavar="USER/SLUG",
        help="the kernel whose output this one resumes from",
    )
    push.add_argument("--dry-run", action="store_true", help="send nothing, show what would be sent")
    push.set_defaults(work=_push)


def _build(options: argparse.Namespace) -> int:
    import tempfile

    from monet.kernel.build import build

    if options.wheels:
        _wheels(options.wheels)
    wanted = {"as_dataset": options.as_dataset, "wheels": options.wheels_dataset, "internet": options.internet}
    if not options.compare:
        for name in build(_ROOT, options.folder, **wanted):
            print(f"wrote {options.folder / name}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for name in build(_ROOT, Path(folder), **wanted):
            there = options.folder / name
            if not _is_current(there, Path(folder) / name):
                print(
                    f"error: {there} is not what the sources build: python -m pipelines.kernel build", file=sys.stderr
                )
                return 1
    print(f"{options.folder} is what the sources build")
    return 0


def _is_current(path: Path, built: Path) -> bool:
    """Returns whether a file holds what the sources build."""
    from monet.kernel.notebook import contents

    try:
        return contents(path.read_text(encoding="utf-8")) == contents(built.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _wheels(folder: Path) -> None:
    import torch

    from monet.kernel.push import collect_wheels
    from monet.scoring.weights import FILE_NAME, cached_weights

    weights = cached_weights(Path(torch.hub.get_dir()))
    names = collect_wheels(folder, Path(weights.source) if weights else None)
    print(f"wrote {folder}: {', '.join(names)}")
    if not weights:
        print(f"without {FILE_NAME}: python -m pipelines.evaluate downloads it, then build again")
    print(f"put your name into {folder / 'dataset-metadata.json'}, then: kaggle datasets create -p {folder}")


def _push(options: argparse.Namespace) -> int:
    import hashlib
    import tempfile

    from monet.errors import InputError
    from monet.kernel.push import prepare, push

    user = options.user or _kaggle_user()
    if not user:
        raise InputError("whose kernel is it? give --user NAME, your name on Kaggle")
    if not options.dry_run:
        pushed = push(options.folder, user, options.slug, os.environ, options.resume_from)
        print(f"version {pushed.version} of {pushed.kernel} is on its way: {pushed.url}")
        print(f"when it has run: {pushed.submit}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        metadata = prepare(options.folder, Path(folder), user, options.slug, options.resume_from)
        notebook = (Path(folder) / metadata["code_file"]).read_bytes()
    print(json.dumps(metadata, indent=1))
    print(f"{metadata['code_file']}: {len(notebook):,} bytes, SHA-256 {hashlib.sha256(notebook).hexdigest()}")
    print("nothing was sent")
    return 0


def _kaggle_user() -> str | None:
    """Returns the name that goes with the credentials, where they have one."""
    if name := os.environ.get("KAGGLE_USERNAME"):
        return name
    folder = Path(os.environ.get("KAGGLE_CONFIG_DIR", "~/.kaggle")).expanduser()
    try:
        return str(json.loads((folder / "kaggle.json").read_text(encoding="utf-8"))["username"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _built_notebook(folder: Path) -> Any:
    """Returns the notebook of a built kernel, in Jupyter's format.

    Raises:
        InputError: the folder holds none.
    """
    from monet.errors import InputError
    from monet.files import require_regular
    from monet.kernel.build import METADATA

    require_regular(folder / METADATA)
    try:
        metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        return json.loads((folder / metadata["code_file"]).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{folder} holds no built kernel: python -m pipelines.kernel build writes one") from None


def _check(options: argparse.Namespace) -> int:
    from monet.clock import format_duration, parse_duration
    from monet.data.layout import find_layout
    from monet.errors import InputError
    from monet.files import require_output
    from monet.kernel.build import is_built
    from monet.kernel.check import Mount, run_notebook, static_problems, this_machine

    try:
        limit = parse_duration(options.budget)
    except ValueError as error:
        raise InputError(f"--budget: {error}") from None
    notebook = _built_notebook(options.folder)
    rules = find_layout(options.data).rules
    settings = [word for name, value in options.setting for word in (f"--{name}", value)]
    problems = static_problems(notebook, this_machine())
    for problem in problems:
        print(f"!!  {problem}")
    mounts: list[Mount] = ["competitions", "plain"] if options.mount == "both" else [options.mount]
    for mount in mounts:
        require_output(options.output / f"{mount}.ipynb", "a notebook", is_built)
    for mount in mounts:
        checked = run_notebook(
            notebook,
            options.data,
            mount,
            settings={
                "RECIPE": options.recipe,
                "BUDGET": options.budget,
                "HORIZON": options.horizon,
                "SETTINGS": settings,
            },
            inputs=options.input,
            absent=options.absent,
            limit=limit + _GRACE,
            rules=rules,
            environment={name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)},
            output=options.output / f"{mount}.ipynb",
            keep_in=options.output / mount,
        )
        print(
            f"{mount}: {format_duration(checked.seconds)}, {checked.images:,} images, {checked.files} files, "
            f"{checked.size / 1e6:.0f} MB left"
        )
        for problem in checked.problems:
            print(f"!!  {problem}")
        problems += checked.problems
    print(f"the executed notebooks are in {options.output}")
    return 1 if problems else 0


if __name__ == "__main__":
    leave(run_command(main, torch=False))
