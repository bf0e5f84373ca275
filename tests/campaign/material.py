"""What cases are made of, each thing made when it is first needed: data, a trained run, painted and scored pictures."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.campaign.launch import Launch, Running, usual_environment
from tests.conftest import fill_folder
from tests.gpu.inception import random_weights

TINY = (
    *("--data.samples_per_epoch", "4", "--data.load_size", "36", "--data.crop_size", "32"),
    *("--model.width", "4", "--model.residual_blocks", "1", "--model.discriminator_width", "4"),
    *("--training.batch_size", "2", "--training.pool_size", "4", "--training.device", "cpu"),
    *("--training.precision", "fp32", "--training.compile", "off"),
)
"""Settings under which a step takes milliseconds."""
SAVING = ("--training.ema", "0.9", "--training.save_every", "1")
PAINTED = 3
"""Photos that the data set has to paint."""
PHOTOS = 2
"""Photos in `photos`."""
SCORED = ("--feature-layer", "64", "--inception-weights", "weights.pth")
"""A score that takes a second."""
PAINT = ("--photos", "photos", "--precision", "fp32", "--device", "cpu")
TRANSLATED = ("--precision", "fp32", "--device", "cpu")
STEPS = ("--data.samples_per_epoch", "40", "--training.epochs", "3", "--generation.batch_size", "1", "--score", "no")
"""A run of a second or two, which can be met at any part of it."""
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("submit", "--data", "data", "--run", "run", *TINY, *SAVING, "--training.epochs", "2", "--score", "no"),
    "longer": (
        "submit",
        "--data",
        "data",
        "--run",
        "longer",
        *TINY,
        *SAVING,
        "--training.epochs",
        "3",
        "--score",
        "no",
    ),
    "undisturbed": ("submit", "--data", "data", "--run", "undisturbed", *TINY, *SAVING, *STEPS),
    "painted.zip": ("generate", "--checkpoint", "run/checkpoints/last.pt", *PAINT, "--zip", "painted.zip"),
    "translated": (
        *("translate", "--checkpoint", "run/checkpoints/last.pt", "--input", "photos", "--output", "translated"),
        *TRANSLATED,
    ),
    "model.safetensors": ("export", "--checkpoint", "run/checkpoints/last.pt", "--safetensors", "model.safetensors"),
    "graph.onnx": ("export", "--checkpoint", "run/checkpoints/last.pt", "--onnx", "graph.onnx", "--pixels"),
    "score.json": ("evaluate", "--generated", "generated", "--reference", "paintings", *SCORED, "--json", "score.json"),
}
"""Things that commands make, and those; `home` comes with the score, whose cache it holds."""


class Material:
    """Things to copy.

    Args:
        folder: where they are; new.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("home", "tmp", "matplotlib"):
            (folder / name).mkdir(parents=True)
        (folder / "matplotlib").chmod(0o777)
        self._logs = folder / "logs"
        _make_pictures(folder)

    def made(self, name: str) -> Path:
        """The path of a thing, which is made if it is not there yet."""
        path = self.folder / name
        if name == "weights.pth" and not path.exists():
            _in_a_child(lambda: random_weights(self.folder).rename(path))
        elif name == "film.mp4" and not path.exists():
            _in_a_child(lambda: _film(path))
        elif name in COMMANDS and not path.exists():
            command, *words = COMMANDS[name]
            for needed in COMMANDS.keys() | {"weights.pth"}:
                if any(word.split("/")[0] == needed != name for word in words):
                    self.made(needed)
            environment = usual_environment(self.folder / "home", self.folder / "tmp", self.folder / "matplotlib")
            launch = Launch(command=command, words=tuple(words), cwd=self.folder, environment=environment)
            outcome = Running(launch, self._logs / name).finish(180)
            assert outcome.code == 0, f"{launch}: {outcome.err}"
        return path

    def copy(self, name: str, place: Path) -> None:
        """Puts a thing into a place; the large file of weights is linked."""
        source, target = self.made(name), place / name
        if name == "home":
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif target.exists():
            return
        elif name == "weights.pth":
            os.link(source, target)
        elif source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)


def _make_pictures(folder: Path) -> None:
    fill_folder(folder / "data" / "trainA", 6, 0)
    fill_folder(folder / "data" / "trainB", 4, 100)
    fill_folder(folder / "data" / "testA", PAINTED, 200)
    fill_folder(folder / "photos", PHOTOS, 300)
    fill_folder(folder / "paintings", 5, 400)
    fill_folder(folder / "generated", 4, 500, (256, 256))
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        for path in sorted((folder / "generated").iterdir()):
            archive.write(path, path.name)


def _film(path: Path) -> None:
    """Two scenes of two seconds, with sound."""
    from tests.videos import Shot, write_video

    write_video(path, [Shot(1, 50), Shot(2, 50)])


def _in_a_child(work: Callable[[], object]) -> None:
    """Computes in a process of its own: this one still forks."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
