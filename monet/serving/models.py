"""The models that are offered: checkpoints, model files, ONNX graphs, and the checkpoints of runs."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from monet import api
from monet.data.pixels import Pixels
from monet.errors import InputError, shown
from monet.generation.translator import TILE, PixelTranslator
from monet.machine import available_processors, keep_freed_memory
from monet.models import Direction, Weights
from monet.run_folder.folder import RunFolder
from monet.serving.graph import GraphTranslator

T = TypeVar("T")

logger = logging.getLogger(__name__)

_KEPT = 2
"""Models that stay in memory: as many as are compared side by side."""
_FOLDER_OF_CHECKPOINTS = "checkpoints"
_SUFFIXES = (".pt", ".safetensors", ".onnx")


class Models:
    """Models by their names; each is loaded when it is first asked for, and again when its file has changed.

    Args:
        files: checkpoints, model files (`.safetensors`) and graphs (`.onnx`) that `export` wrote, or folders of them.
        runs: folders of runs, whose checkpoints are offered as they come.
        weights: of checkpoints: averaged or raw.
        device: as in `monet.load`.
        precision: as in `monet.load`.

    Raises:
        InputError: a file or folder is none of these, or there is nothing to offer.
    """

    def __init__(
        self,
        files: Sequence[Path],
        runs: Sequence[Path] = (),
        *,
        weights: Weights = "ema",
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self._files = tuple(dict.fromkeys(model for file in files for model in _expanded(file)))
        self._runs = tuple(RunFolder(run) for run in dict.fromkeys(runs))
        self._load_checkpoint = functools.partial(api.load, weights=weights, device=device, precision=precision)
        self._loaded: OrderedDict[tuple[Path, int, int], PixelTranslator] = OrderedDict()
        self._loading = threading.Lock()
        self._alone = threading.Lock()
        """Held by whoever works on a large picture."""
        self._pool = ThreadPoolExecutor(available_processors(), initializer=_use_one_thread)
        for run in self._runs:
            _require_run(run)
        for file in self._files:
            self._load(file)
        if not self.names and not self._runs:
            raise InputError("no model to offer: give --checkpoint FILE, or --run DIR")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that is offered now: files first, then the checkpoints of runs, the newest first."""
        return tuple(self._paths())

    def directions(self, name: str) -> tuple[Direction, ...]:
        """Returns the directions that a model has learned.

        Raises:
            InputError: no such model is offered, or its file cannot be read.
        """
        return self.translator(name).directions

    def path(self, name: str) -> Path:
        """Returns a model's file.

        Raises:
            InputError: no such model is offered.
        """
        try:
            return self._paths()[name]
        except KeyError:
            raise InputError(
                f"no model is called {shown(name)}: choose one of {', '.join(self.names) or 'none yet'}"
            ) from None

    def translator(self, name: str) -> PixelTranslator:
        """Returns a model, loaded.

        Raises:
            InputError: no such model is offered, or its file cannot be read.
        """
        path = self.path(name)
        try:
            return self._load(path)
        except InputError as error:  # it names the file, which is nobody's business
            logger.warning("%s", error)
            raise InputError(f"model {name} cannot be read now: choose another one") from error

    def translate(self, name: str, pixels: Pixels, direction: Direction) -> Pixels:
        """Translates a picture, (H, W, 3) uint8 => the same; waits for its turn. The result is that of `translate`.

        Raises:
            InputError: no such model is offered, its file cannot be read, or it has not learned the direction.
            MonetError: its weights give values that are not numbers.
        """
        translator = self.translator(name)
        require_direction(name, translator, direction)
        return self.compute(lambda: translator.translate(pixels, direction))

    def room_for(self, width: int, height: int) -> contextlib.AbstractContextManager[object]:
        """Returns a context for all work on a picture: of large ones there is one at a time, as each takes much
        memory."""
        return self._alone if width * height > TILE**2 else contextlib.nullcontext()

    def compute(self, work: Callable[[], T]) -> T:
        """Does work in one thread of its own, as many such at a time as there are processors: threads that share a
        picture would wait for each other wherever something else computes, such as a training."""
        return self._pool.submit(work).result()

    def _paths(self) -> dict[str, Path]:
        """Returns the file of each name: as short as they are different."""
        paths = list(self._files)
        for run in self._runs:
            known = {path.resolve() for path in paths}
            paths += [path for path in reversed(run.saved()) if path.resolve() not in known]
        short = Counter(_name(path) for path in paths)
        return {_name(path) if short[_name(path)] == 1 else str(path): path for path in paths}

    def _load(self, path: Path) -> PixelTranslator:
        with self._loading:
            try:
                status = path.stat()
            except OSError as error:
                raise InputError(f"model {path} cannot be read: {error.strerror}") from error
            key = (path, status.st_mtime_ns, status.st_size)
            if key not in self._loaded:
                for stale in [known for known in self._loaded if known[0] == path]:
                    del self._loaded[stale]
                self._loaded[key] = self._read(path)
                while len(self._loaded) > _KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def _read(self, path: Path) -> PixelTranslator:
        if path.suffix.lower() == ".onnx":
            return GraphTranslator(path)
        return self._load_checkpoint(path)


def _use_one_thread() -> None:
    import torch

    keep_freed_memory()
    torch.set_num_threads(1)


def require_direction(name: str, translator: PixelTranslator, direction: Direction) -> None:
    """Checks that a model has learned a direction.

    Raises:
        InputError: it has not.
    """
    if direction not in translator.directions:
        raise InputError(
            f"{name} has not learned the direction {direction}: choose {' or '.join(translator.directions)}"
        )


def _require_run(run: RunFolder) -> None:
    """Checks that a folder is a run's, also of one that has just begun.

    Raises:
        InputError: it is not.
    """
    if not run.path.is_dir():
        raise InputError(f"no run in {run.path}: give the folder of one, such as runs/first")
    if not (run.path / "config.yaml").exists() and any(run.path.iterdir()):
        raise InputError(f"{run.path} is not the folder of a run: it has no config.yaml")


def _expanded(path: Path) -> list[Path]:
    """Returns the models in a folder, by name; or the file itself.

    Raises:
        InputError: the folder cannot be read, or holds none.
    """
    if not path.is_dir():
        return [path]
    try:
        found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not found:
        raise InputError(f"{path} holds no model: put files there that end in {', '.join(_SUFFIXES)}")
    return found


def _name(path: Path) -> str:
    """`runs/first/checkpoints/epoch-0010.pt` is first/epoch-0010; another file has its own name."""
    folder = path.absolute().parent
    return f"{folder.parent.name}/{path.stem}" if folder.name == _FOLDER_OF_CHECKPOINTS else path.stem
