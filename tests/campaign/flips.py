"""Files that are damaged at random places, many copies in one process: each is refused, or read as the whole one is.

The name of a case holds the seed of its damage.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.campaign.checkpoints import whole
from tests.campaign.harms import HARMS, Harm
from tests.campaign.material import TINY
from tests.campaign.rules import LONGEST_LINE
from tests.campaign.stage import Case, Stage

_LIMIT = 300.0
"""Seconds for all copies of a case."""


class NotRead(Exception):
    """A file is passed over, or found wrong, in a way that is no error."""


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    name: str
    file: str
    """What it is called."""
    make: Callable[[Stage], bytes]
    """Returns a whole one."""
    read: Callable[[Path], object]
    """Returns what is in it, by whatever can be compared; raises what it raises for users, or `NotRead`."""
    copies: int
    sealed: bool = True
    """It has a checksum: nothing else may be read from a damaged one than from the whole one."""
    libraries: tuple[str, ...] = ()


def cases(seed: int) -> Iterator[Case]:
    """The cases of this class.

    Args:
        seed: of the damage.
    """
    for kind in KINDS:
        for name, harm in HARMS.items():
            quick = (kind.name, name) in _QUICK
            yield _case(kind, name, harm, f"{seed}", quick=quick)


def _case(kind: Kind, harm_name: str, harm: Harm, seed: str, *, quick: bool) -> Case:
    def play(stage: Stage) -> None:
        data, path = kind.make(stage), stage.path(kind.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        chance = random.Random(f"{seed} {kind.name} {harm_name}")
        stage.compute(lambda: read_damaged(kind, path, data, harm, chance), _LIMIT)

    name = f"flips/{kind.name}, {harm_name}, {kind.copies} copies, seed {seed}"
    return Case(name, play, quick=quick, libraries=kind.libraries)


def read_damaged(kind: Kind, path: Path, data: bytes, harm: Harm, chance: random.Random) -> dict[str, int]:
    """Damages a file, again and again, and reads it; returns what came of it.

    Args:
        kind: of the file.
        path: where it is written.
        data: the whole file.
        harm: what befalls it.
        chance: chooses where.
    """
    from monet.data.decode import UnreadableImage
    from monet.errors import MonetError

    path.write_bytes(data)
    expected, counts = kind.read(path), Counter[str]()
    for number in range(kind.copies):
        damaged = harm(data, chance)
        if path.is_dir():
            raise AssertionError(f"copy {number}: {path} became a folder")
        path.write_bytes(damaged)
        try:
            found = kind.read(path)
        except NotRead:
            counts["refused"] += 1
        except (MonetError, UnreadableImage) as error:
            message = str(error)
            if not message or "\n" in message or len(message) > LONGEST_LINE:
                raise AssertionError(f"copy {number}: an error in other than one line: {message!r:.300}") from error
            counts["refused"] += 1
        else:
            if found == expected:
                counts["read as the whole one"] += 1
            elif kind.sealed:
                raise AssertionError(f"copy {number} is read, and is something else than the whole one")
            else:
                counts["read as something else, without a checksum"] += 1
    return dict(counts)


def _checkpoint(path: Path) -> object:
    from monet import checkpoint
    from monet.checkpoint.contents import digest

    return digest(checkpoint.load(path))


def _model(path: Path) -> object:
    from monet.checkpoint.contents import digest
    from monet.config import to_dict
    from monet.inference.generators import load_generators

    found = load_generators(path)
    states = {name: network.state_dict() for name, network in found.by_direction.items()}
    return digest({"config": to_dict(found.config), "learned": vars(found.learned), "generators": states})


def _graph(path: Path) -> object:
    from monet.serving.graph import GraphTranslator

    pixels = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    translator = GraphTranslator(path)
    return translator.directions, translator.translate(pixels, translator.directions[0]).tobytes()


_FEATURES = np.random.default_rng(0).normal(size=(9, 64)).astype(np.float32)


def _key() -> Any:
    from monet.scoring.cache import FeatureKey

    return FeatureKey(images="a" * 64, weights="b" * 64, layer="64")


def _entry_of(stage: Stage) -> bytes:
    from monet.scoring.cache import FeatureCache

    FeatureCache(stage.path("made")).put(_key(), _FEATURES)
    return (stage.path("made") / _key().name).read_bytes()


def _entry(path: Path) -> object:
    from monet.scoring.cache import FeatureCache

    path.rename(path.with_name(_key().name))
    found = FeatureCache(path.parent).get(_key(), _FEATURES.shape)
    if found is None:
        raise NotRead
    return found.tobytes()


def _archive(path: Path) -> object:
    from monet.archive import validate
    from monet.scoring.images import open_images

    if not validate(path, "any", workers=1).valid:
        raise NotRead
    return sorted(hashlib.sha256(data).hexdigest() for data in open_images(path).files())


def _photo(path: Path) -> object:
    from monet.data.decode import decode
    from monet.data.pictures import read_picture

    pixels = decode(path, 32)
    return pixels.tobytes(), read_picture(path).pixels.tobytes()


def _photo_of(name: str) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        from tests.conftest import picture

        path = stage.path(name)
        image = picture(7, (80, 60))
        (image.convert("P") if name.endswith(".gif") else image).save(path)
        return path.read_bytes()

    return make


def _film(path: Path) -> object:
    from monet.data.video import Video

    with Video(path) as video:
        frames = [hashlib.sha256(frame.pixels.tobytes()).hexdigest() for frame in video.frames()]
    if not frames:
        raise NotRead
    return frames, video.damage


def _metrics(path: Path) -> object:
    from monet.reporting.metrics import read_metrics

    return read_metrics(path)


def _scores_of(stage: Stage) -> bytes:
    numbers = {"fid": 101.5, "mifid": 150.25, "memorization_distance": 0.5, "kid_mean": 0.1}
    texts = {"checkpoint": "last.pt", "generator": "a" * 64, "weights_used": "ema", "basis": {"layer": "64"}}
    line = json.dumps({**texts, **numbers, "num_generated": 4, "num_reference": 5, "feature_layer": "64"})
    return f"{line}\n{line}\n".encode()


def _scores(path: Path) -> object:
    from monet.run_folder.scores import read_scores

    return read_scores(path)


def _recipe_of(stage: Stage) -> bytes:
    from monet import recipes

    return (Path(recipes.__file__).parent / f"{recipes.names()[0]}.yaml").read_bytes()


def _recipe(path: Path) -> object:
    from monet import recipes
    from monet.settings import resolve

    return resolve(recipes.read(str(path)), TINY)


def _record(path: Path) -> object:
    from pathlib import PurePath

    from monet.inference.record import Record
    from monet.inference.sources import Source

    record = Record(path.parent, "b" * 64)
    source = Source(path.parent / "0.jpg", PurePath("0.jpg"), "ab")
    done = record.is_done(source, PurePath("1.jpg"))
    return done, record.has_written(PurePath("1.jpg")), record.damage(PurePath("1.jpg")) if done else None


def _record_of(stage: Stage) -> bytes:
    from pathlib import PurePath

    from monet.inference.record import NAME, Record
    from monet.inference.sources import Source

    folder = stage.path("record")
    folder.mkdir()
    for name in ("0.jpg", "1.jpg"):
        (folder / name).write_bytes(b"x")
    source = Source(folder / "0.jpg", PurePath("0.jpg"), "ab")
    Record(folder, "b" * 64).note(source, PurePath("1.jpg"), folder / "1.jpg", "it ends after 1.0 s of 2.0 s")
    return (folder / NAME).read_bytes()


def _choices_of(stage: Stage) -> bytes:
    users = {str(user): {"model": f"run/{user}", "direction": "ab", "strength": 50 + user} for user in range(30)}
    return json.dumps({"monet bot choices": 1, "users": users}, indent=2).encode()


def _choices(path: Path) -> object:
    from monet.serving.bot.choices import Choices

    choices = Choices(path)
    for aside in path.parent.glob(f"{path.name}.damaged*"):
        aside.unlink()
        raise NotRead
    return [choices.of(user) for user in range(30)]


_ONNX = ("onnx", "onnxruntime", "onnxscript")
KINDS = (
    Kind("a checkpoint", "c.pt", whole, _checkpoint, 200),
    Kind(
        *("a model file", "model.safetensors", lambda stage: stage.needs("model.safetensors").read_bytes(), _model),
        copies=200,
        libraries=("safetensors",),
    ),
    Kind(
        *("an ONNX file", "graph.onnx", lambda stage: stage.needs("graph.onnx").read_bytes(), _graph),
        copies=100,
        libraries=_ONNX,
    ),
    Kind("cached features", "cache/features", _entry_of, _entry, 400),
    Kind("an archive", "a.zip", lambda stage: stage.needs("pictures.zip").read_bytes(), _archive, 200),
    *(Kind(f"a photo, {end}", f"0.{end}", _photo_of(f"of.{end}"), _photo, 200, sealed=False) for end in
      ("jpg", "png", "webp", "tif", "gif", "bmp")),
    Kind(
        *("a video", "film.mp4", lambda stage: stage.needs("film.mp4").read_bytes(), _film),
        copies=25,
        sealed=False,
        libraries=("av",),
    ),
    Kind(
        *("metrics", "metrics.jsonl", lambda stage: (stage.needs("run") / "metrics.jsonl").read_bytes(), _metrics),
        copies=200,
        sealed=False,
    ),
    Kind("scores", "scores.jsonl", _scores_of, _scores, 400, sealed=False),
    Kind("a recipe", "r.yaml", _recipe_of, _recipe, 100, sealed=False),
    Kind("the record of a translation", "record/.translated.jsonl", _record_of, _record, 400, sealed=False),
    Kind("a bot's choices", "choices.json", _choices_of, _choices, 200, sealed=False),
)  # fmt: skip
_QUICK = {
    ("a checkpoint", "a bit of its frame flipped"),
    ("a model file", "a bit flipped"),
    ("cached features", "bits flipped"),
    ("an archive", "a bit of its frame flipped"),
    ("a photo, jpg", "a block of noise"),
}
"""Part of the ordinary suite."""
